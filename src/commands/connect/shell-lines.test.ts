import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { guessShell, setVariable } from "./shell-lines.ts";

describe("a line for a shell", () => {
  it("says in bash just what was meant, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme-ascii" }), (value) => {
        const { stdout } = spawnSync("bash", ["-c", `${setVariable("bash", "NAME", value)}; printf %s "$NAME"`]);
        assert.equal(stdout.toString(), value);
      }),
      { numRuns: 30 },
    );
  });

  it("is written as each shell wants it", () => {
    assert.equal(setVariable("bash", "A", "http://x/v1"), "export A=http://x/v1");
    assert.equal(setVariable("bash", "A", "it's"), "export A='it'\\''s'");
    assert.equal(setVariable("bash", "A", { variable: "B" }), 'export A="$B"');
    assert.equal(setVariable("fish", "A", "it's \\"), "set -gx A 'it\\'s \\\\'");
    assert.equal(setVariable("powershell", "A", "it's"), "$env:A = 'it''s'");
    assert.equal(setVariable("powershell", "A", { variable: "B" }), '$env:A = "$env:B"');
  });

  it("is for the shell of whoever asks", () => {
    assert.equal(guessShell({ SHELL: "/usr/bin/fish" }), "fish");
    assert.equal(guessShell({ SHELL: "/bin/zsh" }), "bash");
    assert.equal(guessShell({ PSModulePath: "C:\\x" }), "powershell");
    assert.equal(guessShell({}), "bash");
  });
});
