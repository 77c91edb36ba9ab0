import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createByteBudget } from "./byte-budget.ts";

describe("createByteBudget()", () => {
  it("gives exactly what a holder's part is, and changes nothing when it can't", () => {
    const budget = createByteBudget(800);
    const ada = budget.of("ada");
    assert.ok(ada.take(99));
    assert.ok(!ada.take(2));
    assert.equal(budget.used, 99);
    assert.ok(ada.take(1));
    assert.ok(ada.isFull);
    ada.give(100);
    assert.deepEqual([budget.used, ada.isFull], [0, false]);
  });

  it("counts what is in memory already, beyond its bound too", () => {
    const budget = createByteBudget(800);
    const ada = budget.of("ada");
    ada.force(1_500);
    assert.deepEqual([budget.used, ada.isFull, ada.take(1), budget.of("bob").take(1)], [1_500, true, false, false]);
    ada.force(-1_000);
    assert.deepEqual([ada.take(1), budget.of("bob").take(300)], [false, true]);
  });

  it("has room for others when one holds all that it may", () => {
    const budget = createByteBudget(800);
    while (budget.of("ada").take(10)) assert.ok(budget.used <= 100);
    assert.equal(budget.used, 100);
    for (let count = 1; count < 8; count++) assert.ok(budget.of(`user ${count}`).take(100));
    assert.ok(!budget.of("late").take(1), "all of it is held");
  });

  it("lets a holder of nothing have one thing of any size that fits, and its part grow to the least that was said", () => {
    const budget = createByteBudget(800);
    assert.ok(budget.of("ada").take(700));
    assert.ok(!budget.of("ada").take(1));
    budget.of("ada").give(700);
    let least = 300;
    const other = createByteBudget(800, () => least);
    assert.ok(other.of("ada").take(150) && other.of("ada").take(150) && !other.of("ada").take(1));
    least = 400;
    assert.ok(other.of("ada").take(100));
  });

  it("is never exceeded by what is taken, and forgets holders of nothing, whatever comes in whatever order", () => {
    const step = fc.record({ holder: fc.nat(9), bytes: fc.integer({ min: 1, max: 120 }), isTaken: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const budget = createByteBudget(800);
        const held = new Map<number, number[]>();
        for (const { holder, bytes, isTaken } of steps) {
          const own = held.get(holder) ?? [];
          held.set(holder, own);
          if (!isTaken) budget.of(String(holder)).give(own.pop() ?? 0);
          else if (budget.of(String(holder)).take(bytes)) own.push(bytes);
          const sum = own.reduce((total, part) => total + part, 0);
          assert.ok(sum <= 100 || own.length === 1, `${sum} bytes of one holder`);
        }
        const all = [...held.values()].flat().reduce((total, part) => total + part, 0);
        assert.equal(budget.used, all);
        assert.ok(all <= 800);
      }),
    );
  });
});
