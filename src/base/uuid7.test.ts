import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createUuid7 } from "./uuid7.ts";

describe("createUuid7()", () => {
  it("makes ids of version 7 that tell their time and sort by it, each another", () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => createUuid7(1_700_000_000_000 + index));
    assert.equal(new Set(ids.map((id) => id.slice(14))).size, ids.length, "no part of chance comes twice");
    assert.deepEqual([...ids].sort(), ids);
    for (const [index, id] of ids.entries()) {
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.equal(Number.parseInt(id.replace("-", "").slice(0, 12), 16), 1_700_000_000_000 + index);
    }
  });
});
