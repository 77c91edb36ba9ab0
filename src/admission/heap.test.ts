import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Heap } from "./heap.ts";

interface Item {
  heapIndex: number;
  rank: number;
}

describe("Heap", () => {
  it("gives the least first, whatever came, left or changed its rank before", () => {
    const step = fc.record({
      action: fc.constantFrom("push", "remove", "update"),
      rank: fc.nat(50),
      pick: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const heap = new Heap<Item>((a, b) => a.rank < b.rank);
        const inside: Item[] = [];
        for (const { action, rank, pick } of steps) {
          const item = inside[pick % Math.max(1, inside.length)];
          if (action === "push" || !item) {
            const added = { heapIndex: -1, rank };
            heap.push(added);
            inside.push(added);
          } else if (action === "remove") {
            heap.remove(item);
            inside.splice(inside.indexOf(item), 1);
            assert.equal(item.heapIndex, -1);
            heap.remove(item);
          } else {
            item.rank = rank;
            heap.update(item);
          }
          assert.equal(heap.items.length, inside.length);
          assert.equal(heap.first?.rank, inside.length === 0 ? undefined : Math.min(...inside.map((one) => one.rank)));
        }
      }),
    );
  });

  it("hands its items out in order", () => {
    const heap = new Heap<Item>((a, b) => a.rank < b.rank);
    for (const rank of [5, 3, 8, 1, 9, 2]) heap.push({ heapIndex: -1, rank });
    const ranks: number[] = [];
    for (let first = heap.first; first; first = heap.first) {
      ranks.push(first.rank);
      heap.remove(first);
    }
    assert.deepEqual(ranks, [1, 2, 3, 5, 8, 9]);
  });

  it("takes no notice of what moves outside it, and takes an item in again that left", () => {
    const heap = new Heap<Item>((a, b) => a.rank < b.rank);
    const [moves, stays] = [
      { heapIndex: -1, rank: 5 },
      { heapIndex: -1, rank: 3 },
    ];
    heap.push(moves);
    heap.push(stays);
    heap.remove(moves);
    moves.rank = 1;
    heap.update(moves);
    assert.deepEqual(heap.items, [stays]);
    heap.push(moves);
    assert.equal(heap.first, moves);
  });
});
