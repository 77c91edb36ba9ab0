import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Health } from "./health.ts";

const infinity = Number.POSITIVE_INFINITY;

describe("Health", () => {
  it("is open until something happens", () => {
    const health = new Health();
    assert.equal(health.openAt(5), 5);
    assert.equal(health.isHealthy, true);
  });

  it("is shut for a pause and then as before, for any number of calls", () => {
    const health = new Health();
    health.pause(1_000, "1302");
    assert.equal(health.openAt(400), 1_000);
    health.start({});
    health.start({});
    assert.equal(health.openAt(1_000), 1_000);
    assert.equal(health.isHealthy, true);
  });

  it("never shortens a pause", () => {
    const health = new Health();
    health.pause(1_000, "1302");
    health.pause(500, "1302");
    assert.equal(health.openAt(0), 1_000);
  });

  it("lets one call at a time find out whether a block is over", () => {
    const health = new Health();
    health.trip(1_000, "1305", null, 0);
    assert.equal(health.openAt(999), 1_000);
    assert.equal(health.openAt(1_000), 1_000);
    const probe = {};
    health.start(probe);
    assert.equal(health.openAt(1_001), infinity);
    health.end({});
    assert.equal(health.openAt(1_001), infinity, "another call's end says nothing");
    health.end(probe);
    assert.equal(health.openAt(1_001), 1_001);
  });

  it("is healthy again after a good answer to a call that was sent after the block began", () => {
    const health = new Health();
    health.trip(1_000, "1305", null, 10);
    assert.equal(health.recover(9, 9), false);
    assert.equal(health.recover(1_200, 1_200), true);
    assert.equal(health.isHealthy, true);
    assert.equal(health.tripCount, 0);
  });

  it("counts its trips, and knows which refusals are no news", () => {
    const health = new Health();
    health.trip(1_000, "1305", null, 10);
    assert.equal(health.isOldNews(10), true);
    assert.equal(health.isOldNews(1_200), false);
    health.trip(3_000, "1305", null, 1_300);
    assert.equal(health.tripCount, 2);
    assert.equal(health.openAt(1_300), 3_000);
  });

  it("tells what those are refused with who can't outlive it", () => {
    const health = new Health();
    health.trip(1_000, "1308", "upstream_quota", 0);
    assert.deepEqual([health.refusal, health.because], ["upstream_quota", "1308"]);
    health.reset();
    assert.deepEqual([health.refusal, health.because, health.openAt(0)], [null, null, 0]);
  });

  it("tells when calls may start that might not before, or the other way round", () => {
    let changeCount = 0;
    const health = new Health(() => changeCount++);
    const count = (act: () => void) => {
      const before = changeCount;
      act();
      return changeCount - before;
    };
    const probe = {};
    assert.equal(
      count(() => health.trip(1_000, "1001", "upstream_account", 0)),
      1,
    );
    assert.equal(
      count(() => health.start(probe)),
      0,
    );
    assert.equal(
      count(() => health.end({})),
      0,
      "of a call that was no probe",
    );
    assert.equal(
      count(() => health.end(probe)),
      1,
    );
    assert.equal(
      count(() => health.recover(0, 500)),
      0,
      "sent before the block",
    );
    assert.equal(
      count(() => health.recover(1_500, 1_600)),
      1,
    );
    assert.equal(health.goodAt, 1_600);
    assert.equal(
      count(() => health.recover(1_700, 1_800)),
      0,
    );
  });
});
