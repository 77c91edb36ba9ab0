import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createStatementCache } from "./statement-cache.ts";

describe("createStatementCache()", () => {
  it("prepares each statement once, and forgets the one that was not used for the longest time", () => {
    const prepared: string[] = [];
    const cache = createStatementCache(3, (sql) => {
      prepared.push(sql);
      return { sql };
    });
    const first = cache.get("a");
    for (const sql of ["b", "c", "a", "d"]) cache.get(sql);
    assert.equal(cache.size, 3);
    assert.equal(cache.get("a"), first);
    assert.deepEqual(prepared, ["a", "b", "c", "d"]);
    cache.get("b");
    assert.deepEqual(prepared, ["a", "b", "c", "d", "b"]);
    assert.equal(cache.size, 3);
  });

  it("keeps nothing of a statement that can't be prepared", () => {
    const cache = createStatementCache(1, (sql): string => {
      if (sql === "bad") throw new Error("syntax");
      return sql;
    });
    cache.get("good");
    assert.throws(() => cache.get("bad"), /syntax/);
    assert.equal(cache.size, 1);
    assert.equal(cache.get("good"), "good");
  });
});
