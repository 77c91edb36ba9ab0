import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../test/support/manual-clock.ts";
import { type CallTimeouts, startDeadline } from "./deadline.ts";

function setUp(timeouts: Partial<CallTimeouts>) {
  const clock = createManualClock();
  const expired: string[] = [];
  const all = { totalMs: 20_000, firstByteMs: null, idleMs: null, ...timeouts };
  const deadline = startDeadline(all, clock, (refusal) => expired.push(`${refusal.reason} at ${clock.now()}`));
  return { clock, deadline, expired };
}

describe("startDeadline()", () => {
  it("expires after the total time, bytes or not", async () => {
    const { clock, deadline, expired } = setUp({});
    for (let second = 1; second < 20; second++) {
      await clock.advance(1_000);
      deadline.touch();
    }
    assert.deepEqual(expired, []);
    await clock.advance(1_000);
    assert.deepEqual(expired, ["upstream_timeout at 20000"]);
  });

  it("expires when the first byte does not come in time", async () => {
    const { clock, expired } = setUp({ firstByteMs: 3_000 });
    await clock.advance(30_000);
    assert.deepEqual(expired, ["upstream_first_byte_timeout at 3000"]);
  });

  it("expires when nothing comes for the idle time after the last byte", async () => {
    const { clock, deadline, expired } = setUp({ firstByteMs: 10_000, idleMs: 2_000 });
    await clock.advance(5_000);
    deadline.touch();
    await clock.advance(1_500);
    deadline.touch();
    await clock.advance(1_999);
    assert.deepEqual(expired, []);
    await clock.advance(1);
    assert.deepEqual(expired, ["upstream_idle_timeout at 8500"]);
  });

  it("does not count silence while reading is paused", async () => {
    const { clock, deadline, expired } = setUp({ idleMs: 2_000 });
    deadline.touch();
    deadline.setPaused(true);
    await clock.advance(10_000);
    deadline.setPaused(false);
    await clock.advance(1_999);
    assert.deepEqual(expired, []);
    await clock.advance(1);
    assert.deepEqual(expired, ["upstream_idle_timeout at 12000"]);
  });

  it("never expires once stopped, and leaves no timer", async () => {
    const { clock, deadline, expired } = setUp({ idleMs: 1_000 });
    deadline.touch();
    deadline.stop();
    deadline.stop();
    await clock.advance(60_000);
    assert.deepEqual(expired, []);
    assert.equal(clock.armedCount, 0);
  });
});
