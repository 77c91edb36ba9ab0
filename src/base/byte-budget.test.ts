import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createByteBudget } from "./byte-budget.ts";

describe("createByteBudget()", () => {
  it("gives exactly what there is, and changes nothing when it can't", () => {
    const budget = createByteBudget(100);
    assert.ok(budget.take(99));
    assert.ok(!budget.take(2));
    assert.equal(budget.used, 99);
    assert.ok(budget.take(1));
    assert.ok(budget.isFull);
    budget.give(100);
    assert.deepEqual([budget.used, budget.isFull], [0, false]);
  });

  it("counts what is in memory already, beyond its bound too", () => {
    const budget = createByteBudget(100);
    budget.force(150);
    assert.deepEqual([budget.used, budget.isFull, budget.take(1)], [150, true, false]);
    budget.force(-100);
    assert.ok(budget.take(50));
  });
});
