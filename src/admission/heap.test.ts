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
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
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
});
