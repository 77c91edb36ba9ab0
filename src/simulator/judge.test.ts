import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { createJudge, type Judge, type Limits, type Visit } from "./judge.ts";

const noLimits: Limits = {
  concurrencyMax: null,
  requestsPerSecond: null,
  windowMs: 1_000,
  releaseLagMs: 0,
  rateCode: "1303",
};
const model = "glm-4.5-flash";

function start(limits: Partial<Limits>): { judge: Judge; clock: ManualClock } {
  const clock = createManualClock();
  return { judge: createJudge({ ...noLimits, ...limits }, clock, (keyId) => `${keyId}…`), clock };
}

function call(judge: Judge, keyId = "ada", name: string | null = model): Visit & { code: string | null } {
  const visit = judge.arrive(keyId);
  return { ...visit, code: visit.enter(name) };
}

describe("the judge's rate", () => {
  it("is an exact window: the third call within a second is refused, and one at its end is not", async () => {
    const { judge, clock } = start({ requestsPerSecond: 2 });
    assert.equal(call(judge).code, null);
    await clock.advance(600);
    assert.equal(call(judge).code, null);
    await clock.advance(399.9);
    assert.equal(call(judge).code, "1303");
    await clock.advance(0.1);
    assert.equal(call(judge).code, null);
    assert.equal(call(judge).code, "1303");
  });

  it("does not count what it refused", async () => {
    const { judge, clock } = start({ requestsPerSecond: 1 });
    call(judge);
    for (let tenth = 1; tenth <= 9; tenth++) {
      await clock.advance(100);
      assert.equal(call(judge).code, "1303");
    }
    await clock.advance(100);
    assert.equal(call(judge).code, null);
  });

  it("of less than one a second stretches the window", async () => {
    const { judge, clock } = start({ requestsPerSecond: 0.5 });
    call(judge);
    await clock.advance(1_999);
    assert.equal(call(judge).code, "1303");
    await clock.advance(1);
    assert.equal(call(judge).code, null);
  });

  it("of none refuses all", () => {
    assert.equal(call(start({ requestsPerSecond: 0 }).judge).code, "1303");
  });

  it("is each key's own, shared by its models", () => {
    const { judge } = start({ requestsPerSecond: 1 });
    assert.equal(call(judge, "ada").code, null);
    assert.equal(call(judge, "bob").code, null);
    assert.equal(call(judge, "ada", "glm-4.7").code, "1303");
  });

  it("is refused with the code that was chosen, and written down", () => {
    const { judge } = start({ requestsPerSecond: 1, rateCode: "1302" });
    call(judge);
    assert.equal(call(judge).code, "1302");
    assert.deepEqual(judge.violations, [{ kind: "rate", at: 0, key: "ada…", model, observed: 2, limit: 1 }]);
    assert.equal(judge.violationCount, 1);
  });

  it("never lets more through in any window than it says (property)", async () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(gaps, fc.integer({ min: 1, max: 5 }), async (waits, requestsPerSecond) => {
        const { judge, clock } = start({ requestsPerSecond });
        const passed: number[] = [];
        for (const waitMs of waits) {
          clock.stall(waitMs);
          const inWindow = passed.filter((at) => clock.now() - at < 1_000).length;
          const { code } = call(judge);
          assert.equal(code, inWindow < requestsPerSecond ? null : "1303");
          if (code === null) passed.push(clock.now());
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("the judge's concurrency", () => {
  it("refuses with 1302 while as many run, and not after one has left", () => {
    const { judge } = start({ concurrencyMax: 2 });
    const [first] = [call(judge), call(judge)];
    assert.equal(call(judge).code, "1302");
    first?.leave();
    assert.equal(call(judge).code, null);
    assert.deepEqual(judge.violations, [{ kind: "concurrency", at: 0, key: "ada…", model, observed: 3, limit: 2 }]);
  });

  it("is each key's and model's own", () => {
    const { judge } = start({ concurrencyMax: 1 });
    assert.equal(call(judge, "ada").code, null);
    assert.equal(call(judge, "bob").code, null);
    assert.equal(call(judge, "ada", "glm-4.7").code, null);
    assert.equal(call(judge, "ada").code, "1302");
    assert.deepEqual(judge.lanes, [
      { key: "ada…", account: "ada…", model, inFlight: 1, inFlightMax: 1 },
      { key: "bob…", account: "bob…", model, inFlight: 1, inFlightMax: 1 },
      { key: "ada…", account: "ada…", model: "glm-4.7", inFlight: 1, inFlightMax: 1 },
    ]);
  });

  it("counts a call as in flight until the lag after its end is over", async () => {
    const { judge, clock } = start({ concurrencyMax: 1, releaseLagMs: 300 });
    call(judge).leave();
    await clock.advance(299);
    assert.equal(call(judge).code, "1302");
    await clock.advance(1);
    assert.equal(judge.inFlight, 0);
    assert.equal(call(judge).code, null);
  });

  it("looks at the whole time since a call's head, not at the moment its body was read", () => {
    const { judge } = start({ concurrencyMax: 1 });
    const running = call(judge);
    const slow = judge.arrive("ada");
    running.leave();
    assert.equal(slow.enter(model), "1302");
  });

  it("does not count a call that left before it came in, nor one that left twice", () => {
    const { judge } = start({ concurrencyMax: 1 });
    const gone = judge.arrive("ada");
    gone.leave();
    assert.equal(gone.enter(model), null);
    const twice = call(judge);
    twice.leave();
    twice.leave();
    assert.equal(judge.inFlight, 0);
    assert.equal(judge.inFlightMax, 1);
  });

  it("does not matter to a call that names no model", () => {
    const { judge } = start({ concurrencyMax: 1 });
    call(judge);
    assert.equal(call(judge, "ada", null).code, null);
    assert.equal(judge.inFlight, 1);
  });
});

describe("the judge", () => {
  it("takes new limits at once", () => {
    const { judge } = start({});
    call(judge);
    judge.setLimits({ concurrencyMax: 1 });
    assert.equal(call(judge).code, "1302");
    judge.setLimits({ concurrencyMax: null });
    assert.equal(call(judge).code, null);
  });

  it("forgets what was, but not what is in flight", () => {
    const { judge } = start({ concurrencyMax: 2, requestsPerSecond: 3 });
    const calls = [call(judge), call(judge), call(judge)];
    judge.reset();
    assert.deepEqual([judge.violations, judge.violationCount, judge.inFlight, judge.inFlightMax], [[], 0, 2, 2]);
    for (const { leave } of calls) leave();
    assert.deepEqual([judge.inFlight, call(judge).code], [0, null]);
  });

  it("keeps the first 10,000 violations and counts them all", () => {
    const { judge } = start({ requestsPerSecond: 0 });
    for (let count = 0; count < 10_001; count++) call(judge);
    assert.deepEqual([judge.violations.length, judge.violationCount], [10_000, 10_001]);
  });
});
