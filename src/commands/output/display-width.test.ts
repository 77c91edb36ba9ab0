import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cutToWidth, measureWidth, padToWidth, wrapText } from "./display-width.ts";

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

describe("wrapText()", () => {
  it("breaks at spaces alone, within the width, and loses nothing", () => {
    assert.deepEqual(wrapText("the certificate ends in 3 d", 12), ["the", "certificate", "ends in 3 d"]);
    assert.deepEqual(wrapText("", 10), [""]);
    assert.deepEqual(wrapText("one two", Number.POSITIVE_INFINITY), ["one two"]);
    const words = fc.array(fc.stringMatching(/^[a-z王]{1,20}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 60 }), (list, width) => {
        const lines = wrapText(list.join(" "), width);
        assert.equal(lines.join(" "), list.join(" "));
        for (const line of lines) assert.ok(measureWidth(line) <= width || !line.includes(" "), line);
      }),
    );
  });
});
