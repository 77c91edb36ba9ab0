import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseJsonRequest } from "./request-body.ts";

const parse = (text: string) => parseJsonRequest(Buffer.from(text));
const wide = fc.string({ unit: fc.constantFrom("a", "é", "中", "\u{1f600}", '"', "\\", "\n", "\u2028") });

describe("parseJsonRequest()", () => {
  it("knows what is said at the top, whatever the alphabet, escaped or not", () => {
    fc.assert(
      fc.property(wide, wide, fc.boolean(), (model, content, isEscaped) => {
        const text = JSON.stringify({ model, messages: [{ content }], stream: true });
        const sent = isEscaped
          ? text.replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
          : text;
        const { fields, readWhole } = parse(sent);
        assert.equal(fields.model, model);
        assert.equal(fields.stream, true);
        assert.equal((fields.messages as unknown[]).length, 1);
        assert.deepEqual(readWhole(), JSON.parse(text));
      }),
    );
  });

  it("mixes up no escape with a byte", () => {
    assert.equal(parse('{"model":"caf\\u00e9","messages":["中"]}').fields.model, "café");
    assert.equal(parse('{"model":"\\u4e2dé"}').fields.model, "中é");
  });

  it("refuses what is no JSON object in UTF-8", () => {
    for (const text of ["", "[]", "1", "{", '{"a":é}', '{"a":"\u0001é"}', "{}é"]) {
      assert.throws(() => parse(text), { reason: "invalid_json" }, text);
    }
    for (const bytes of [
      [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d],
      [0x7b, 0xc3],
    ]) {
      assert.throws(() => parseJsonRequest(Buffer.from(bytes)), { reason: "invalid_json" });
    }
  });

  it("refuses what nests deeper than 64 levels", () => {
    const nest = (levels: number) => `{"é":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
    assert.ok(parse(nest(64)));
    assert.throws(() => parse(nest(65)), { reason: "invalid_json" });
  });
});
