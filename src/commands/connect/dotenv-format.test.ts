import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEnv } from "node:util";
import fc from "fast-check";
import { dotenvFormat } from "./dotenv-format.ts";
import { changeText, FormatProblem, type Setting } from "./file-format.ts";

const setting = (value: string): readonly Setting[] => [{ path: ["KEY"], value }];

describe("a .env file", () => {
  it("gets new variables last, and old ones replaced where they stand", () => {
    assert.equal(dotenvFormat.set("A=1", setting("x")), "A=1\nKEY=x\n");
    assert.equal(
      dotenvFormat.set("export KEY = 'old'  # mine\r\nB=2\r\n", setting("x")),
      "export KEY = x  # mine\r\nB=2\r\n",
    );
    assert.equal(dotenvFormat.set("KEY=a # one\nKEY=b # two\n", setting("x")), "KEY=a # one\nKEY=x # two\n");
    assert.equal(dotenvFormat.set('KEY="x"', setting("x")), 'KEY="x"');
    assert.equal(dotenvFormat.set("KEY=\n", setting("a#b")), "KEY='a#b'\n");
  });

  it("is not misled by lines inside of quotes", () => {
    const text = 'A="one\nKEY=no\n"\n';
    assert.equal(dotenvFormat.set(text, setting("x")), `${text}KEY=x\n`);
  });

  it("is refused when a line is something else, by its number", () => {
    assert.throws(() => dotenvFormat.parse('# fine\n\n{"a": 1}\n'), { message: "line 3 is not like NAME=value" });
    assert.throws(() => dotenvFormat.parse("#!/bin/sh\nsource x\n"), FormatProblem);
  });

  it("has what it should and all else, whatever there was, and twice is once", () => {
    const line = fc.constantFrom(
      "",
      "# c",
      "A=1",
      "export B='x y' # d",
      "KEY=old",
      '  C = "m\nKEY=no\nn"',
      "KEY='a b'#e",
      "E=",
      "F=`q`",
    );
    const value = fc.stringMatching(/^[\x21-\x26\x28-\x7e]*$/);
    fc.assert(
      fc.property(fc.array(line), fc.boolean(), value, (lines, isEnded, wanted) => {
        const text = lines.join("\n") + (isEnded ? "\n" : "");
        const changed = changeText(dotenvFormat, text, setting(wanted), "file");
        const { KEY: _, ...others } = { ...parseEnv(changed) };
        const { KEY: __, ...before } = { ...parseEnv(text) };
        assert.deepEqual(others, before);
        assert.equal(changeText(dotenvFormat, changed, setting(wanted), "file"), changed);
      }),
    );
  });
});
