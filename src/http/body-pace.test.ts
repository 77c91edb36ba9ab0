import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { bytesPerSecondMin, graceMs, type PaceLimits, startBodyPace } from "./body-pace.ts";

function start(limits: Partial<PaceLimits> = {}) {
  const clock = createManualClock();
  let slowCount = 0;
  const pace = startBodyPace({ totalMsMax: null, silenceMsMax: null, ...limits }, clock, () => slowCount++);
  return { clock, pace, slowCount: () => slowCount };
}

describe("startBodyPace()", () => {
  it("gives up a body of which nothing comes after exactly the grace, once", async () => {
    const { clock, slowCount } = start();
    await clock.advance(graceMs - 1);
    assert.equal(slowCount(), 0);
    await clock.advance(1);
    assert.equal(slowCount(), 1);
    await clock.advance(100_000);
    assert.deepEqual([slowCount(), clock.armedCount], [1, 0]);
  });

  it("gives one that has come so far the time that its bytes take at the lowest rate", async () => {
    const { clock, pace, slowCount } = start();
    pace.note(bytesPerSecondMin * 3);
    await clock.advance(graceMs + 2_999);
    assert.equal(slowCount(), 0);
    await clock.advance(1);
    assert.equal(slowCount(), 1);
  });

  it("lets one that keeps the rate go on for hours, and gives it up when it slows down", async () => {
    const { clock, pace, slowCount } = start();
    for (let second = 0; second < 10_000; second++) {
      await clock.advance(1_000);
      pace.note(bytesPerSecondMin);
    }
    assert.equal(slowCount(), 0);
    for (let second = 0; second < 11; second++) {
      await clock.advance(1_000);
      pace.note(bytesPerSecondMin / 2);
    }
    assert.equal(slowCount(), 1);
  });

  it("ends one byte a second as it ends none", async () => {
    const { clock, pace, slowCount } = start();
    for (let second = 1; second <= 6; second++) {
      await clock.advance(1_000);
      pace.note(1);
    }
    assert.equal(slowCount(), 1);
  });

  it("ends one that is fast, too, after all the time there is, and after its silence", async () => {
    const total = start({ totalMsMax: 30_000 });
    total.pace.note(1e9);
    await total.clock.advance(29_999);
    assert.equal(total.slowCount(), 0);
    await total.clock.advance(1);
    assert.equal(total.slowCount(), 1);

    const silent = start({ silenceMsMax: 30_000 });
    await silent.clock.advance(1_000);
    silent.pace.note(1e9);
    await silent.clock.advance(29_999);
    assert.equal(silent.slowCount(), 0);
    await silent.clock.advance(1);
    assert.equal(silent.slowCount(), 1);
  });

  it("counts no time in which nobody asks for more", async () => {
    const { clock, pace, slowCount } = start({ silenceMsMax: 30_000 });
    await clock.advance(graceMs - 1);
    pace.setPaused(true);
    pace.setPaused(true);
    assert.equal(clock.armedCount, 0);
    await clock.advance(1_000_000);
    pace.setPaused(false);
    assert.equal(slowCount(), 0);
    await clock.advance(1);
    assert.equal(slowCount(), 1);
  });

  it("says nothing once it is stopped, paused or not", async () => {
    for (const isPaused of [false, true]) {
      const { clock, pace, slowCount } = start();
      pace.setPaused(isPaused);
      pace.stop();
      await clock.advance(100_000);
      assert.deepEqual([slowCount(), clock.armedCount], [0, 0]);
    }
  });
});
