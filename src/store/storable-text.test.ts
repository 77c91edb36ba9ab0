import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toStorableParameters, toStorableText } from "./storable-text.ts";

describe("toStorableText()", () => {
  it("replaces U+0000 and half characters, and nothing else", () => {
    assert.equal(toStorableText("a\0b\ud800c\udc00"), "a\ufffdb\ufffdc\ufffd");
    assert.equal(toStorableText("ünï 中文 😀 \u0001\n\u2028"), "ünï 中文 😀 \u0001\n\u2028");
  });

  it("makes any text one that UTF-8 has, of the same length, and is settled by one turn", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const stored = toStorableText(text);
        assert.ok(stored.isWellFormed() && !stored.includes("\0"));
        assert.equal(stored.length, text.length);
        assert.equal(toStorableText(stored), stored);
      }),
    );
  });

  it("leaves what is no text as it is", () => {
    assert.deepEqual(toStorableParameters([1, null, "\0", 1.5]), [1, null, "\ufffd", 1.5]);
  });
});
