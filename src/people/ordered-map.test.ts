import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OrderedMap } from "./ordered-map.ts";

describe("OrderedMap", () => {
  it("is a Map read in the order of its keys, whatever is done to it", () => {
    const key = fc.string({ maxLength: 2 });
    const step = fc.oneof(
      fc.record({ what: fc.constant("set" as const), key, value: fc.nat() }),
      fc.record({ what: fc.constant("delete" as const), key }),
      fc.record({ what: fc.constant("fill" as const), entries: fc.array(fc.tuple(key, fc.nat())) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: "max" }), (steps) => {
        const map = new OrderedMap<number>();
        let model = new Map<string, number>();
        for (const step of steps) {
          if (step.what === "set") {
            map.set(step.key, step.value);
            model.set(step.key, step.value);
          } else if (step.what === "delete") assert.equal(map.delete(step.key), model.delete(step.key));
          else {
            map.fill(step.entries);
            model = new Map(step.entries);
          }
          const expected = [...model.keys()].sort().map((name) => model.get(name));
          assert.deepEqual(map.values(), expected);
          assert.equal(map.size, model.size);
          for (const name of model.keys()) assert.equal(map.get(name), model.get(name));
        }
      }),
    );
  });

  it("knows names that objects have already", () => {
    const map = new OrderedMap<number>();
    assert.equal(map.get("__proto__"), undefined);
    map.set("__proto__", 1);
    assert.equal(map.get("__proto__"), 1);
    assert.equal(map.has("constructor"), false);
  });

  it("gives the same list as long as nothing changed, and never changes one that it gave", () => {
    const map = new OrderedMap<string>();
    map.set("b", "b");
    const before = map.values();
    assert.equal(map.values(), before);
    map.set("a", "a");
    assert.deepEqual(before, ["b"]);
    assert.deepEqual(map.values(), ["a", "b"]);
  });
});
