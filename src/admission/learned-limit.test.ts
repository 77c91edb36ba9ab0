import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LearnedConcurrency, LearnedPace } from "./learned-limit.ts";

const infinity = Number.POSITIVE_INFINITY;

describe("LearnedConcurrency", () => {
  it("knows nothing until a refusal, and then one less than were in flight", () => {
    const learned = new LearnedConcurrency();
    assert.equal(learned.limit, null);
    assert.equal(learned.lower(5, 0, 10), true);
    assert.equal(learned.limit, 4);
  });

  it("falls by a fifth when it is large", () => {
    const learned = new LearnedConcurrency();
    learned.lower(50, 0, 10);
    assert.equal(learned.limit, 40);
  });

  it("falls for calls that were sent before it fell by no more than what they prove", () => {
    const learned = new LearnedConcurrency();
    learned.lower(3, 0, 100);
    assert.equal(learned.lower(4, 99, 110), false, "of four in flight, two were refused");
    assert.equal(learned.limit, 2);
    assert.equal(learned.lower(2, 120, 130), true);
    assert.equal(learned.limit, 1);
  });

  it("is found at once when a burst is refused but for what the upstream takes", () => {
    const learned = new LearnedConcurrency();
    for (let refused = 0; refused < 22; refused++) learned.lower(24, 0, 10 + refused);
    assert.equal(learned.limit, 2);
  });

  it("never falls below one", () => {
    const learned = new LearnedConcurrency();
    learned.lower(2, 0, 1);
    learned.lower(2, 2, 3);
    assert.equal(learned.limit, 1);
  });

  it("may rise after 30 s, or after ten typical calls if that is longer", () => {
    const learned = new LearnedConcurrency();
    assert.equal(learned.risesAt(0), infinity);
    learned.lower(3, 0, 1_000);
    assert.equal(learned.risesAt(100), 31_000);
    assert.equal(learned.risesAt(10_000), 101_000);
  });

  it("waits twice as long each time the same count is refused again, up to half an hour", () => {
    const learned = new LearnedConcurrency();
    const holds: number[] = [];
    let now = 0;
    for (let round = 0; round < 9; round++) {
      learned.lower(3, now + 1, now + 2);
      holds.push((learned.risesAt(0) - (now + 2)) / 1_000);
      now = learned.risesAt(0);
      learned.raise(infinity, now);
    }
    assert.deepEqual(holds, [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800]);
  });

  it("counts the refusal of a call that was sent in the very moment in which it rose", () => {
    const learned = new LearnedConcurrency();
    learned.lower(2, 0, 10);
    const now = learned.risesAt(0);
    learned.raise(infinity, now);
    assert.equal(learned.limit, 2);
    assert.equal(learned.lower(2, now, now + 50), true);
    assert.equal(learned.limit, 1);
  });

  it("waits 30 s again once as many were served as were refused before", () => {
    const learned = new LearnedConcurrency();
    learned.lower(3, 0, 1);
    learned.lower(3, 2, 3);
    assert.equal(learned.risesAt(0), 60_003);
    learned.disprove(2);
    assert.equal(learned.risesAt(0), 60_003, "two at once say nothing of three");
    learned.disprove(3);
    assert.equal(learned.risesAt(0), 30_003);
  });

  it("knows nothing any more when it reaches the configured limit", () => {
    const learned = new LearnedConcurrency();
    learned.lower(4, 0, 1);
    learned.raise(4, 40_000);
    assert.equal(learned.limit, null);
  });

  it("stays at one for an hour under a restriction", () => {
    const learned = new LearnedConcurrency();
    learned.restrict(3_600_000, 0);
    assert.deepEqual([learned.limit, learned.risesAt(0)], [1, 3_600_000]);
  });
});

describe("LearnedPace", () => {
  it("widens the guard at the first refusal and slows down at the next one", () => {
    const pace = new LearnedPace();
    pace.slow(0, 10);
    assert.deepEqual([pace.guardMs, pace.slowdown], [25, 1]);
    pace.slow(20, 30);
    assert.deepEqual([pace.guardMs, pace.slowdown], [50, 1.25]);
  });

  it("takes refusals of calls that were sent before as one", () => {
    const pace = new LearnedPace();
    pace.slow(0, 10);
    assert.equal(pace.slow(9, 12), false);
  });

  it("widens only the guard again when the last refusal is long ago", () => {
    const pace = new LearnedPace();
    pace.slow(0, 10);
    pace.slow(100_000, 100_010);
    assert.deepEqual([pace.guardMs, pace.slowdown], [50, 1]);
  });

  it("is bounded, however often it is refused", () => {
    const pace = new LearnedPace();
    for (let now = 0; now < 1_000; now += 10) pace.slow(now + 1, now + 2);
    assert.deepEqual([pace.guardMs, pace.slowdown], [500, 16]);
  });

  it("quickens step by step to where it was, the guard last", () => {
    const pace = new LearnedPace();
    pace.slow(0, 10);
    pace.slow(20, 30);
    const steps: number[][] = [];
    for (let at = pace.quickensAt; at < infinity; at = pace.quickensAt) {
      pace.quicken(at);
      steps.push([pace.slowdown, pace.guardMs]);
    }
    assert.deepEqual(steps, [
      [1, 50],
      [1, 25],
      [1, 0],
    ]);
  });
});
