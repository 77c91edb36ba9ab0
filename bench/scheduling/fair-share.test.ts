import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allocateMaxMin, computeJain, computeNormalisedJain } from "./fair-share.ts";

const demand = (userId: string, amount: number, weight = 1) => ({ userId, amount, weight });

describe("max-min fair share", () => {
  it("gives what is asked when there is enough", () => {
    const shares = allocateMaxMin([demand("a", 3), demand("b", 5)], 10);
    assert.deepEqual([shares.get("a"), shares.get("b")], [3, 5]);
  });

  it("shares what the modest leave among the others", () => {
    const shares = allocateMaxMin([demand("a", 100), demand("b", 2), demand("c", 100)], 12);
    assert.deepEqual([shares.get("a"), shares.get("b"), shares.get("c")], [5, 2, 5]);
  });

  it("shares by weight", () => {
    const shares = allocateMaxMin([demand("a", 100, 1), demand("b", 100, 2), demand("c", 1, 4)], 10);
    assert.deepEqual([shares.get("a"), shares.get("b"), shares.get("c")], [3, 6, 1]);
  });
});

describe("Jain's index", () => {
  it("is 1 for equals and 1/n for one who has all", () => {
    assert.equal(computeJain([4, 4, 4]), 1);
    assert.equal(computeJain([9, 0, 0]), 1 / 3);
  });

  it("normalised, is 1 for the max-min allocation itself, however unequal that is", () => {
    const demands = [demand("a", 100), demand("b", 2)];
    const served = new Map([
      ["a", 8],
      ["b", 2],
    ]);
    assert.equal(computeNormalisedJain(demands, 10, served), 1);
  });
});
