import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createWindowLog, toWindowLimits } from "./window-log.ts";

describe("toWindowLimits()", () => {
  it("reads a rate as whole starts in a window, guard added", () => {
    assert.deepEqual(toWindowLimits(2, 20), { startsMax: 2, windowMs: 1_020 });
    assert.deepEqual(toWindowLimits(0.5, 0), { startsMax: 1, windowMs: 2_000 });
    assert.deepEqual(toWindowLimits(2.5, 0), { startsMax: 2, windowMs: 800 });
  });
});

describe("createWindowLog()", () => {
  it("has no time to offer while every start is reserved but not sent", () => {
    const log = createWindowLog({ startsMax: 1, windowMs: 1_000 });
    log.reserve();
    assert.equal(log.freeAt(5), Number.POSITIVE_INFINITY);
    log.stamp(5);
    assert.equal(log.freeAt(5), 1_005);
  });

  it("never lets more than the limit into any window, and is open as soon as that allows", () => {
    const gaps = fc.array(fc.record({ gap: fc.nat(400), delay: fc.nat(300) }), {
      minLength: 20,
      maxLength: 200,
      size: "max",
    });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 20 }), (steps, startsMax) => {
        const windowMs = 1_000;
        const log = createWindowLog({ startsMax, windowMs });
        const sent: number[] = [];
        let now = 0;
        for (const { gap, delay } of steps) {
          now += gap;
          const isNaivelyOpen = sent.filter((at) => at > now - windowMs).length < startsMax;
          const freeAt = log.freeAt(now);
          assert.equal(freeAt <= now, isNaivelyOpen);
          now = Math.max(now, freeAt);
          assert.ok(log.freeAt(now) <= now, "it is open at the time it named");
          log.reserve();
          now += delay;
          log.stamp(now);
          sent.push(now);
        }
        for (let index = startsMax; index < sent.length; index++) {
          assert.ok((sent[index] as number) - (sent[index - startsMax] as number) >= windowMs);
        }
      }),
    );
  });

  it("keeps to a longer window also for what was sent before it was configured", () => {
    const log = createWindowLog({ startsMax: 3, windowMs: 1_000 });
    for (const at of [0, 900]) {
      log.reserve();
      log.stamp(at);
    }
    log.configure({ startsMax: 1, windowMs: 5_000 });
    assert.equal(log.freeAt(2_000), 5_900);
  });

  it("foresees when each of the next starts is possible", () => {
    const log = createWindowLog({ startsMax: 2, windowMs: 1_000 });
    for (const at of [0, 400]) {
      log.reserve();
      log.stamp(at);
    }
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((ahead) => log.freeAfter(ahead, 500)),
      [1_000, 1_400, 2_000, 2_400, 3_000],
    );
    assert.deepEqual(log.remaining(500), { count: 0, allAt: 1_400 });
    assert.deepEqual(log.remaining(1_200), { count: 1, allAt: 1_400 });
  });
});
