import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createHeartbeats } from "./heartbeats.ts";

function setUp() {
  const clock = createManualClock();
  const seen: string[] = [];
  const heartbeats = createHeartbeats({ intervalMs: 1_000, graceMs: 2_000, style: "comment" }, clock, {
    open: ({ position }, waitedMs) => seen.push(`open at ${position} after ${waitedMs}`),
    beat: (standing) => seen.push(standing === null ? "beat" : `beat at ${standing.position}`),
  });
  return { clock, seen, heartbeats };
}

const at = (position: number) => () => ({ position, etaMs: 500 });

describe("createHeartbeats()", () => {
  it("are silent for the grace period, then open and beat at each interval", async () => {
    const { clock, seen, heartbeats } = setUp();
    let position = 3;
    heartbeats.queued(() => ({ position, etaMs: 0 }));
    await clock.advance(1_999);
    assert.deepEqual(seen, []);
    await clock.advance(1);
    assert.deepEqual(seen, ["open at 3 after 2000", "beat at 3"]);
    position = 2;
    await clock.advance(2_000);
    assert.deepEqual(seen.slice(2), ["beat at 2", "beat at 2"]);
  });

  it("never open for a call that starts within the grace", async () => {
    const { clock, seen, heartbeats } = setUp();
    heartbeats.queued(at(1));
    await clock.advance(1_000);
    heartbeats.granted();
    assert.equal(clock.armedCount, 0);
    await clock.advance(60_000);
    assert.deepEqual(seen, []);
  });

  it("go on while a call that was started waits for its answer", async () => {
    const { clock, seen, heartbeats } = setUp();
    heartbeats.queued(at(1));
    await clock.advance(2_000);
    heartbeats.granted();
    await clock.advance(1_000);
    assert.deepEqual(seen, ["open at 1 after 2000", "beat at 1", "beat"]);
  });

  it("count the grace from the first wait when a call comes back into the queue, and open once", async () => {
    const { clock, seen, heartbeats } = setUp();
    heartbeats.queued(at(4));
    await clock.advance(1_500);
    heartbeats.granted();
    await clock.advance(1_000);
    heartbeats.queued(at(1));
    await clock.advance(0);
    assert.deepEqual(seen, ["open at 1 after 2500", "beat at 1"]);
    heartbeats.granted();
    heartbeats.queued(at(2));
    await clock.advance(1_000);
    assert.deepEqual(seen.slice(2), ["beat at 2"]);
  });

  it("leave no timer behind when they stop, and do not begin again", async () => {
    const { clock, seen, heartbeats } = setUp();
    heartbeats.queued(at(1));
    heartbeats.stop();
    assert.equal(clock.armedCount, 0);
    heartbeats.queued(at(1));
    await clock.advance(10_000);
    assert.deepEqual([seen, clock.armedCount], [[], 0]);
  });

  it("stop from within a beat", async () => {
    const clock = createManualClock();
    const heartbeats = createHeartbeats({ intervalMs: 1_000, graceMs: 0, style: "comment" }, clock, {
      open: () => {},
      beat: () => heartbeats.stop(),
    });
    heartbeats.queued(at(1));
    await clock.advance(0);
    assert.equal(clock.armedCount, 0);
  });
});
