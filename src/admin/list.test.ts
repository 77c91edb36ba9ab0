import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Page, pageOf, toList, toPage } from "./list.ts";

describe("a list in pages", () => {
  it("shows each item once and in order, whatever the size of its pages", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), (names, limit) => {
        const items = names.toSorted();
        const matches = (name: string) => name.length % 2 === 0;
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page: Page<string> = pageOf(items, { limit, after, keyOf: (name) => name, matches });
          assert.ok(page.data.length <= limit);
          seen.push(...page.data);
          after = page.nextAfter;
        } while (after !== null);
        assert.deepEqual(seen, items.filter(matches));
      }),
    );
  });

  it("goes on where it was when what it went on after is gone", () => {
    const wish = { limit: 2, after: "b", keyOf: (name: string) => name, matches: () => true };
    assert.deepEqual(pageOf(["a", "c", "d", "e"], wish), { data: ["c", "d"], nextAfter: "d" });
  });

  it("has a next page only if something is on it", () => {
    const keyOf = (name: string) => name;
    assert.deepEqual(toPage(["a", "b"], 2, keyOf), { data: ["a", "b"], nextAfter: null });
    assert.deepEqual(toPage(["a", "b", "c"], 2, keyOf), { data: ["a", "b"], nextAfter: "b" });
    assert.deepEqual(toList(toPage([], 2, keyOf), "names", keyOf), { data: [], next_cursor: null });
  });
});
