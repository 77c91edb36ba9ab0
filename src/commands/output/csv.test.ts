import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatCsv } from "./csv.ts";

describe("formatCsv()", () => {
  it("quotes as RFC 4180 says, with CRLF after every line", () => {
    assert.equal(
      formatCsv(
        ["name", "calls"],
        [
          ['a,"b"', 1],
          ["two\nlines", 2],
          ["plain", 0.5],
          [null as never, 3],
        ],
      ),
      'name,calls\r\n"a,""b""",1\r\ntwo?lines,2\r\nplain,0.5\r\n,3\r\n',
    );
  });

  it("makes texts of what a spreadsheet would run as a formula, but not of numbers", () => {
    const rows = ["=1+1", "+1", "-1", "@x", "\t=x", " =x", "＝1", '=HYPERLINK("x")'].map((text) => [text]);
    assert.equal(
      formatCsv(["name"], rows),
      `name\r\n'=1+1\r\n'+1\r\n'-1\r\n'@x\r\n'?=x\r\n' =x\r\n'＝1\r\n"'=HYPERLINK(""x"")"\r\n`,
    );
    assert.equal(formatCsv(["cost"], [[-1.5]]), "cost\r\n-1.5\r\n");
  });
});
