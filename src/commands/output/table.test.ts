import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measureWidth } from "./display-width.ts";
import { createStyle, plainStyle } from "./style.ts";
import { type Column, layoutFacts, layoutTable } from "./table.ts";

interface Row {
  readonly name: string;
  readonly calls: number;
  readonly note: string | null;
}

const columns: readonly Column<Row>[] = [
  { title: "name", text: ({ name }) => name, canShrink: true },
  { title: "calls", align: "right", text: ({ calls }) => String(calls) },
  { title: "note", text: ({ note }) => note, canShrink: true },
];

describe("layoutTable()", () => {
  it("aligns by what a column takes on the screen", () => {
    const rows = [
      { name: "王小明", calls: 5, note: "x" },
      { name: "ada", calls: 1_000, note: null },
    ];
    assert.deepEqual(layoutTable(columns, rows, 80, plainStyle), [
      "NAME    CALLS  NOTE",
      "王小明      5  x",
      "ada      1000  -",
    ]);
  });

  it("leaves out columns in which nobody says anything, but never the first", () => {
    const rows = [{ name: "", calls: 1, note: null }];
    assert.deepEqual(layoutTable(columns, rows, 80, plainStyle), ["NAME  CALLS", "-         1"]);
  });

  it("cuts the widest of those that may give way, and stays within the width", () => {
    const rows = [{ name: "a".repeat(30), calls: 7, note: "b".repeat(60) }];
    for (const width of [80, 60, 40, 20, 5]) {
      const lines = layoutTable(columns, rows, width, plainStyle);
      for (const line of lines) assert.ok(measureWidth(line) <= width, `${width}: ${line}`);
    }
    assert.equal(layoutTable(columns, rows, 40, plainStyle)[1], "aaaaaaaaaaaaaa…      7  bbbbbbbbbbbbbbb…");
  });

  it("makes cells one harmless line", () => {
    const lines = layoutTable(columns, [{ name: "a\u001b[2J\nb", calls: 1, note: null }], 80, plainStyle);
    assert.equal(lines[1], "a?[2J?b      1");
  });

  it("has columns of the same width with and without colours", () => {
    const rows = [{ name: "ada", calls: 5, note: "fine" }];
    const coloured = layoutTable(columns, rows, 80, createStyle(true, {}));
    const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
    assert.deepEqual(
      coloured.map((line) => line.replace(escapes, "").trimEnd()),
      layoutTable(columns, rows, 80, plainStyle),
    );
    assert.notDeepEqual(coloured, layoutTable(columns, rows, 80, plainStyle));
  });
});

describe("createStyle()", () => {
  it("is plain in a pipe, with NO_COLOR, and on a dumb terminal", () => {
    assert.equal(createStyle(true, {}).apply("red", "x"), "\u001b[31mx\u001b[39m");
    for (const style of [
      createStyle(false, {}),
      createStyle(true, { NO_COLOR: "1" }),
      createStyle(true, { TERM: "dumb" }),
    ]) {
      assert.equal(style.apply("red", "x"), "x");
    }
  });
});

describe("layoutFacts()", () => {
  it("has the names in a column, and leaves out what is not known", () => {
    const lines = layoutFacts(
      [
        ["name", "ada"],
        ["group", null],
        ["expires", "never"],
      ],
      plainStyle,
    );
    assert.deepEqual(lines, ["name     ada", "expires  never"]);
  });
});
