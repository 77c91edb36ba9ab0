import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cutToWidth, measureWidth, padToWidth, toOneLine } from "./display-width.ts";

describe("measureWidth()", () => {
  it("counts two columns for Chinese, fullwidth and emoji, none for combining marks", () => {
    const widths: [string, number][] = [
      ["ada", 3],
      ["王小明", 6],
      ["ＡＢ", 4],
      ["한국어", 6],
      ["e\u0301", 1],
      ["ｱ", 1],
      ["🙂", 2],
      ["👩‍💻", 2],
      ["❤️", 2],
      ["…", 1],
      ["", 0],
    ];
    for (const [text, width] of widths) assert.equal(measureWidth(text), width, text);
  });
});

describe("cutToWidth()", () => {
  it("leaves alone what fits, and cuts whole characters with an ellipsis", () => {
    assert.equal(cutToWidth("王小明", 6), "王小明");
    assert.equal(cutToWidth("王小明", 5), "王小…");
    assert.equal(cutToWidth("王小明", 4), "王…");
    assert.equal(cutToWidth("ada", 2), "a…");
    assert.equal(cutToWidth("ada", 0), "");
  });

  it("never takes more columns than it may, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat({ max: 30 }), (text, width) => {
        assert.ok(measureWidth(cutToWidth(text, width)) <= width);
      }),
    );
  });
});

describe("padToWidth()", () => {
  it("fills to the width on either side", () => {
    assert.equal(padToWidth("王", 4), "王  ");
    assert.equal(padToWidth("王", 4, "right"), "  王");
    assert.equal(padToWidth("long", 2), "long");
  });
});

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
