import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LinkedList, type ListNode } from "./linked-list.ts";

describe("a linked list", () => {
  it("is an array to which things are added at both ends, and from which they are taken out anywhere", () => {
    const step = fc.oneof(
      fc.record({ what: fc.constantFrom("append" as const, "prepend" as const) }),
      fc.record({ what: fc.constant("remove" as const), which: fc.nat({ max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const list = new LinkedList<number>();
        let expected: number[] = [];
        const nodes: ListNode<number>[] = [];
        for (const one of steps) {
          if (one.what === "remove") {
            const node = nodes[one.which];
            if (!node) continue;
            assert.equal(list.remove(node), expected.includes(node.item));
            expected = expected.filter((item) => item !== node.item);
          } else {
            const item = nodes.length;
            nodes.push(one.what === "append" ? list.append(item) : list.insertAfter(null, item));
            expected = one.what === "append" ? [...expected, item] : [item, ...expected];
          }
          assert.deepEqual([...list], expected);
          assert.equal(list.size, expected.length);
          assert.equal(list.first?.item, expected[0]);
        }
      }),
    );
  });

  it("lets the item at hand leave while it is gone through", () => {
    const list = new LinkedList<number>();
    const nodes = [1, 2, 3].map((item) => list.append(item));
    for (const item of list) list.remove(nodes[item - 1] as ListNode<number>);
    assert.equal(list.size, 0);
  });

  it("leaves no link in what was taken out", () => {
    const list = new LinkedList<number>();
    const [first, second, third] = [list.append(1), list.append(2), list.append(3)];
    list.remove(second);
    assert.deepEqual([second.previous, second.next], [null, null]);
    assert.deepEqual([first.next, third.previous], [third, first]);
  });
});
