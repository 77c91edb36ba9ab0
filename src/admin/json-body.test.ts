import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { depthMax, parseBody } from "./json-body.ts";

describe("a body of the control plane", () => {
  it("may nest as deep as the bound says, and no deeper", () => {
    const nested = (depth: number) => Buffer.from("[".repeat(depth) + "]".repeat(depth));
    assert.ok(Array.isArray(parseBody(nested(depthMax))));
    assert.throws(() => parseBody(nested(depthMax + 1)), { reason: "invalid_json" });
    assert.throws(() => parseBody(nested(30_000)), { reason: "invalid_json" });
  });

  it("must be JSON in UTF-8", () => {
    for (const bytes of [
      Buffer.from("{"),
      Buffer.from("{'a':1}"),
      Buffer.from([0x22, 0xff, 0x22]),
      Buffer.from("1 2"),
    ]) {
      assert.throws(() => parseBody(bytes), { reason: "invalid_json" });
    }
  });

  it("that is not there has no fields", () => {
    assert.deepEqual(parseBody(null), {});
    assert.deepEqual(parseBody(Buffer.alloc(0)), {});
  });
});
