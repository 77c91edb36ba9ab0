import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { formatBash, formatFish, formatZsh, readTree } from "./completions-command.ts";
import { entries } from "./tree.ts";

const tree = await readTree(entries);
const bash = formatBash(tree);

function complete(...words: string[]): string[] {
  const script = `${bash}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _glm_proxy; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["--norc", "-c", script, "bash", ...words], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return stdout.split("\n").filter(Boolean);
}

describe("completion in bash", () => {
  it("knows commands, verbs, options and what options may be", () => {
    assert.deepEqual(complete("glm-proxy", "us"), ["user", "usage"]);
    assert.deepEqual(complete("glm-proxy", "user", "re"), ["remove"]);
    assert.deepEqual(complete("glm-proxy", "user", "add", "--pass"), ["--password-stdin"]);
    assert.deepEqual(complete("glm-proxy", "usage", "--by", "m"), ["model"]);
    assert.deepEqual(complete("glm-proxy", "key", "add", "--scope", ""), ["calls", "admin"]);
  });

  it("completes files where an option takes one, and nothing where it takes a word of one's own", () => {
    assert.ok(complete("glm-proxy", "serve", "--config", "package.j").includes("package.json"));
    assert.deepEqual(complete("glm-proxy", "user", "add", "--group", ""), []);
  });
});

describe("every script", () => {
  it("has every command and every verb", () => {
    for (const script of [bash, formatZsh(tree), formatFish(tree)]) {
      for (const { name, children } of tree) {
        for (const word of [name, ...children.map((child) => child.name)])
          assert.match(script, new RegExp(`\\b${word}\\b`));
      }
    }
  });
});

describe("the command tree", () => {
  it("says the same of a command in its summary and in its help, and gives every verb an example", async () => {
    for (const entry of entries) {
      const loaded = await entry.load();
      const verbs = "run" in loaded ? [loaded] : loaded;
      if ("run" in loaded) assert.equal(loaded.summary, entry.summary, entry.name);
      for (const verb of verbs) {
        assert.ok((verb.examples ?? []).length > 0, `${entry.name} ${verb.name} has no example`);
        for (const example of verb.examples ?? []) assert.match(example, /glm-proxy/, example);
      }
    }
  });

  it("has no option twice in one verb", () => {
    for (const { name, options, children } of tree) {
      for (const flags of [options, ...children.map((child) => child.options)]) {
        const names = flags.flatMap(({ long, short }) => (short === null ? [long] : [long, short]));
        assert.deepEqual(names, [...new Set(names)], name);
      }
    }
  });
});
