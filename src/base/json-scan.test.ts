import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { scanJson } from "./json-scan.ts";

/** The texts of the values that were found. */
function findValues(text: string, wanted: string): string[] {
  const bytes = Buffer.from(text);
  return scanJson(bytes, wanted).spans.map(([start, end]) => bytes.subarray(start, end).toString());
}

describe("scanJson()", () => {
  it("finds a top-level member's value and no other's", () => {
    assert.deepEqual(findValues('{"a":{"model":"no"},"model" : "yes" ,"b":["model",{"model":1}]}', "model"), ['"yes"']);
    assert.deepEqual(findValues('{"a":"model","b":"\\"model\\":1"}', "model"), []);
  });

  it("finds each of a repeated key's values, and a key that is written with escapes", () => {
    assert.deepEqual(findValues('{"model":"a","mod\\u0065l":"b"}', "model"), ['"a"', '"b"']);
  });

  it("agrees with JSON.parse on any object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (others, value) => {
        const text = JSON.stringify({ ...others, wanted: value });
        assert.deepEqual(
          findValues(text, "wanted").map((found) => JSON.parse(found)),
          [JSON.parse(JSON.stringify(value))],
        );
      }),
    );
  });

  it("finds the end of long strings, whatever is escaped in them", () => {
    const piece = fc.constantFrom("a", '"', "\\", "é", "x".repeat(40), '\\"', "[{");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 80, size: "max" }), (pieces) => {
        const text = JSON.stringify({ long: pieces.join(""), wanted: 1 });
        assert.deepEqual(findValues(text, "wanted"), ["1"]);
        assert.equal(scanJson(Buffer.from(text), null).depth, 1);
      }),
    );
  });

  it("measures how deep a document nests, brackets in strings not counted", () => {
    assert.equal(scanJson(Buffer.from('{"a":["[[[[",{"b":[]}]}'), null).depth, 4);
    assert.equal(scanJson(Buffer.from("[".repeat(100_000)), null).depth, 100_000);
  });
});
