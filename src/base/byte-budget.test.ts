import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createByteBudget, createSharedByteBudget, createSharedBytes, forgetThread } from "./byte-budget.ts";

const kinds = {
  "of one thread": () => createByteBudget(100),
  "of several threads": () => createSharedByteBudget(100, createSharedBytes(2), 1),
};

for (const [name, create] of Object.entries(kinds)) {
  describe(`a budget ${name}`, () => {
    it("gives exactly what there is, and changes nothing when it can't", () => {
      const budget = create();
      assert.ok(budget.take(99));
      assert.ok(!budget.take(2));
      assert.equal(budget.used, 99);
      assert.ok(budget.take(1));
      assert.ok(budget.isFull);
      budget.give(100);
      assert.deepEqual([budget.used, budget.isFull], [0, false]);
    });

    it("counts what is in memory already, beyond its bound too", () => {
      const budget = create();
      budget.force(150);
      assert.deepEqual([budget.used, budget.isFull, budget.take(1)], [150, true, false]);
      budget.force(-100);
      assert.ok(budget.take(50));
    });
  });
}

describe("a budget that threads share", () => {
  it("is one bound for all, and gets back what a dead one held", () => {
    const bytes = createSharedBytes(3);
    const [first, second, third] = [0, 1, 2].map((thread) => createSharedByteBudget(100, bytes, thread));
    assert.ok(first?.take(40) && second?.take(50));
    assert.ok(!third?.take(11), "10 are left");
    forgetThread(bytes, 1);
    assert.equal(first?.used, 40);
    forgetThread(bytes, 1);
    assert.equal(third?.used, 40, "once");
    assert.ok(third?.take(60));
  });
});
