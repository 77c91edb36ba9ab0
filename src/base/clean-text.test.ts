import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { toHarmlessJson, toHarmlessLines, toOneLine } from "./clean-text.ts";

const hostile = /\p{C}|[\u2028\u2029]/u;

describe("toOneLine()", () => {
  it("lets nothing through that moves the cursor, colours, breaks the line or turns the direction", () => {
    assert.equal(toOneLine("a\u001b[31mb\r\nc\u0007\u202ed\u2028e\u009b"), "a?[31mb??c??d?e?");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.doesNotMatch(toOneLine(text), /\p{C}|[\u2028\u2029]/u);
      }),
    );
  });
});

describe("toHarmlessLines()", () => {
  const esc = String.fromCharCode(27);

  it("leaves line ends and our own emphasis, and nothing else that is hostile", () => {
    const bold = `${esc}[1mname${esc}[22m`;
    assert.equal(toHarmlessLines(`${bold}\n\tsecond`), `${bold}\n\tsecond`);
    assert.equal(
      toHarmlessLines(`${esc}[2J${esc}]0;title\u0007${esc}[8m\r\u200b\u202e\u009b1m`),
      "?[2J?]0;title??[8m????1m",
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const rest = toHarmlessLines(text).replace(/[\n\t]/g, "");
        assert.doesNotMatch(rest.replaceAll(new RegExp(`${esc}\\[\\d+m`, "g"), ""), hostile);
      }),
    );
  });
});

describe("toHarmlessJson()", () => {
  it("keeps what the JSON says, whatever it is, and has nothing hostile in it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        for (const json of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
          const harmless = toHarmlessJson(json);
          assert.deepEqual(JSON.parse(harmless), JSON.parse(json));
          assert.doesNotMatch(harmless.replaceAll("\n", ""), hostile);
        }
      }),
    );
  });
});
