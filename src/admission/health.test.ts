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
    health.start({}, 0);
    health.start({}, 0);
    assert.equal(health.openAt(1_000), 1_000);
    assert.equal(health.isHealthy, true);
  });

  it("never shortens a pause", () => {
    const health = new Health();
    health.pause(1_000, "1302");
    health.pause(500, "1302");
    assert.equal(health.openAt(0), 1_000);
  });

  it("keeps a block with a refusal when something that is over sooner is said", () => {
    const health = new Health();
    health.trip(60_000, "1308", "upstream_quota", 0);
    health.trip(1_000, "1303", null, 10);
    assert.deepEqual([health.blockedUntil, health.because, health.refusal], [60_000, "1308", "upstream_quota"]);
    health.trip(90_000, "1001", "upstream_account", 20);
    assert.deepEqual([health.blockedUntil, health.because, health.refusal], [90_000, "1001", "upstream_account"]);
  });

  it("lets the next call go when its probe was not refused for as long as was said", () => {
    const health = new Health();
    health.trip(1_000, "1303", null, 0, 500);
    health.start({}, 1_100);
    assert.equal(health.openAt(1_200), 1_600);
    health.start({}, 1_600);
    assert.equal(health.openAt(1_700), 2_100, "one after the other");
    health.recover(1_100, 1_800);
    assert.equal(health.openAt(1_800), 1_800);
  });

  it("lets one call at a time find out whether a block is over", () => {
    const health = new Health();
    health.trip(1_000, "1305", null, 0);
    assert.equal(health.openAt(999), 1_000);
    assert.equal(health.openAt(1_000), 1_000);
    const probe = {};
    health.start(probe, 0);
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
    assert.equal(health.isOldNews(10, null), true);
    assert.equal(health.isOldNews(1_200, null), false);
    assert.equal(health.isOldNews(10, "upstream_quota"), false, "nobody has said that before");
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
      count(() => health.start(probe, 0)),
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
