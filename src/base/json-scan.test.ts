import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  answerBounds,
  type JsonBounds,
  parseAnswerJson,
  parseJson,
  requestBounds,
  scanJson,
  scanJsonText,
} from "./json-scan.ts";

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

/** A document that has just so many of what a bound is about. */
const documents: Readonly<Record<keyof JsonBounds, (count: number) => string>> = {
  depth: (count) => "[".repeat(count) + "]".repeat(count),
  members: (count) => `{${Array.from({ length: count }, (_, at) => `"k${at}":1`).join(",")}}`,
  texts: (count) => `[${Array.from({ length: count }, () => '""').join(",")}]`,
  values: (count) => `[${"1,".repeat(count - 1)}1]`,
};

describe("parseJson()", () => {
  for (const name of Object.keys(documents) as (keyof JsonBounds)[]) {
    const document = documents[name];
    const max = requestBounds[name];

    it(`parses a document at the bound of ${name}, and refuses the next`, () => {
      assert.ok(parseJson(document(max)));
      assert.throws(() => parseJson(document(max + 1)), { reason: "invalid_json" });
      assert.match(scanJsonText(document(max + 1), null, requestBounds).excess ?? "", new RegExp(String(max)));
    });

    it(`looks into an upstream's document up to its bound of ${name}`, () => {
      assert.ok(parseAnswerJson(document(answerBounds[name])));
      assert.equal(parseAnswerJson(document(answerBounds[name] + 1)), undefined);
    });
  }

  it("counts as a walk through the document does", () => {
    const walk = (value: unknown): Record<keyof JsonBounds, number> => {
      if (typeof value !== "object" || value === null) {
        return { depth: 0, members: 0, texts: typeof value === "string" ? 1 : 0, values: 0 };
      }
      const parts = Object.values(value).map(walk);
      const names = Array.isArray(value) ? 0 : Object.keys(value).length;
      return {
        depth: 1 + Math.max(0, ...parts.map(({ depth }) => depth)),
        members: Math.max(names, ...parts.map(({ members }) => members)),
        texts: names + parts.reduce((sum, { texts }) => sum + texts, 0),
        values: Math.max(1, parts.length) + parts.reduce((sum, { values }) => sum + values, 0),
      };
    };
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom(...(Object.keys(documents) as (keyof JsonBounds)[])),
        (value, name) => {
          const text = JSON.stringify(value);
          const counts = walk(JSON.parse(text));
          const loose = { depth: 1e9, members: 1e9, texts: 1e9, values: 1e9 };
          assert.equal(scanJsonText(text, null, { ...loose, [name]: counts[name] }).excess, null);
          // An object with one member, and one without, look alike until their first comma.
          if (counts[name] > (name === "members" ? 1 : 0)) {
            assert.notEqual(scanJsonText(text, null, { ...loose, [name]: counts[name] - 1 }).excess, null);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("refuses names of any kind, and objects that are all of another kind", () => {
    const repeat = (count: number, toText: (at: number) => string) =>
      Array.from({ length: count }, (_, at) => toText(at));
    for (const text of [
      `{${repeat(500_000, (at) => `"k${at}":1`).join(",")}}`,
      `{${repeat(500_000, (at) => `"${at}":1`).join(",")}}`,
      `{${repeat(20_000, () => '"__proto__":1').join(",")}}`,
      `{${repeat(20_000, (at) => `"\\u00${(at % 90) + 10}${at}":1`).join(",")}}`,
      `[${repeat(500_000, (at) => `{"k${at}":1}`).join(",")}]`,
      `[${"[],".repeat(2_600_000)}[]]`,
      `[${"{},".repeat(2_600_000)}{}]`,
      `[${repeat(500_000, (at) => `"s${at}"`).join(",")}]`,
    ]) {
      assert.throws(() => parseJson(text), { reason: "invalid_json" });
    }
  });
});
