import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { describeNextSignal, forcedMsMax, listenForStop, type StopSignal, samePressMs } from "./stop-signals.ts";

function listen() {
  const clock = createManualClock();
  const handlers = new Map<string, () => void>();
  const stop = listenForStop({ clock, onSignal: (signal, handler) => void handlers.set(signal, handler) });
  return { clock, stop, send: (signal: StopSignal) => handlers.get(signal)?.() };
}

/** What became of a promise so far. */
function watch<Value>(promise: Promise<Value>) {
  const seen: { value?: Value; error?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}

const never = new Promise<never>(() => {});

describe("stop signals", () => {
  it("take what comes within a second of the first for the same key press, whichever signal it is", async () => {
    for (const second of ["SIGINT", "SIGTERM"] as const) {
      const { clock, stop, send } = listen();
      send("SIGINT");
      assert.equal(stop.stopped.reason, "SIGINT");
      await clock.advance(samePressMs - 1);
      send(second);
      assert.equal(stop.forced.aborted, false);
      await clock.advance(1);
      send(second);
      assert.equal(stop.forced.reason, second);
    }
  });

  it("wait for work without bound until a stop, and then as long as they may", async () => {
    const { clock, stop, send } = listen();
    const seen = watch(stop.settle(never, 5_000));
    await clock.advance(1_000_000);
    assert.deepEqual(seen, {});
    send("SIGTERM");
    await clock.advance(4_999);
    assert.deepEqual(seen, {});
    await clock.advance(1);
    assert.deepEqual(seen, { value: false });
  });

  it("wait two seconds more after a second signal, for work of before and after it", async () => {
    const { clock, stop, send } = listen();
    const before = watch(stop.settle(never, 60_000));
    send("SIGINT");
    await clock.advance(samePressMs);
    send("SIGINT");
    const after = watch(stop.settle(never, 60_000));
    await clock.advance(forcedMsMax - 1);
    assert.deepEqual([before, after], [{}, {}]);
    await clock.advance(1);
    assert.deepEqual([before, after], [{ value: false }, { value: false }]);
  });

  it("pass on that work has ended or failed, and leave no timer", async () => {
    const { clock, stop, send } = listen();
    send("SIGINT");
    const fine = watch(stop.settle(Promise.resolve(), 10));
    const failed = watch(stop.settle(Promise.reject(new Error("no")), 10));
    await clock.advance(0);
    assert.deepEqual(fine, { value: true });
    assert.match(String(failed.error), /no/);
    assert.equal(clock.armedCount, 0);
  });

  it("say what the next one does", async () => {
    const { stop, send } = listen();
    const why = stop.whenStopped();
    send("SIGINT");
    assert.equal(describeNextSignal(await why), "press Ctrl-C again to stop now");
    assert.equal(describeNextSignal("SIGTERM"), "a second signal stops it now");
  });
});
