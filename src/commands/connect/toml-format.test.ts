import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { changeText, FormatProblem, type Setting } from "./file-format.ts";
import { tomlFormat } from "./toml-format.ts";

const settings: readonly Setting[] = [
  { path: ["model"], value: "glm" },
  { path: ["model_provider"], value: "ours" },
  { path: ["model_providers", "ours", "name"], value: "Ours" },
  { path: ["model_providers", "ours", "base_url"], value: "http://x/v1" },
];
const places = settings.map(({ path }) => path);
const change = (text: string) => changeText(tomlFormat, text, settings, "file");

describe("a TOML file", () => {
  it("gets keys after those of the root and a table at its end", () => {
    assert.equal(
      change("# mine\nreview = true\n\n# about x\n[profiles.x]\nmodel = 'y'"),
      '# mine\nreview = true\nmodel = "glm"\nmodel_provider = "ours"\n\n# about x\n[profiles.x]\nmodel = \'y\'\n' +
        '\n[model_providers.ours]\nname = "Ours"\nbase_url = "http://x/v1"\n',
    );
    assert.match(change("\n# about x\n[x]\n"), /^\nmodel = "glm"\nmodel_provider = "ours"\n\n# about x\n\[x\]\n/);
  });

  it("has values replaced where they stand, comments beside them kept, and nothing done when they are right", () => {
    const text = `model = "old" # mine\r\n[model_providers."ours"] # t\r\nretries = 3\r\nname = """\r\nx = 1\r\n""" # n\r\n[z]\r\n`;
    assert.equal(
      change(text),
      `model = "glm" # mine\r\nmodel_provider = "ours"\r\n[model_providers."ours"] # t\r\nretries = 3\r\nname = "Ours" # n\r\nbase_url = "http://x/v1"\r\n[z]\r\n`,
    );
    const literal = "model = 'glm'\n";
    assert.equal(tomlFormat.set(literal, settings.slice(0, 1)), literal);
  });

  it("is not misled by what looks like a key or a table in texts, arrays and arrays of tables", () => {
    const text = `a = ['''\nmodel = "no"\n[model_providers.ours]\n''', "]", # ]\n "model = 1"]\n[[list]]\nmodel = "no"\n[list.sub]\nmodel = "no"\n`;
    const changed = change(text);
    assert.ok(changed.startsWith(text.slice(0, text.indexOf("[[list]]"))));
    assert.ok(changed.includes('[[list]]\nmodel = "no"\n[list.sub]\nmodel = "no"\n'));
    assert.equal(tomlFormat.parse(changed).get(["model"]), "glm");
  });

  it("understands dotted names", () => {
    assert.match(
      change('model_providers.ours.name = "o"\nmodel_providers.ours.base_url = "o"\n'),
      /\.name = "Ours"\n.*\.base_url = "http:/,
    );
  });

  it("is refused where a table is written in a way that can't be added to", () => {
    for (const text of [
      'model_providers = { x = { name = "y" } }\n',
      'model_providers.ours = { name = "y" }\n',
      "model_providers = 1\n",
    ]) {
      assert.throws(() => change(text), /Cannot edit file: .*\./, text);
    }
  });

  it("is refused when it is no TOML, with the place and without a word of it", () => {
    assert.throws(
      () => tomlFormat.parse("a = 1\nsecret = sk-secret\n"),
      (error) => {
        assert.ok(error instanceof FormatProblem);
        assert.match(error.message, /^it is not valid TOML: .* at 2:\d+$/);
        return !error.message.includes("sk-");
      },
    );
  });

  it("is compared without our places and blank lines, but with its comments", () => {
    const rest = (text: string) =>
      tomlFormat.parse(text).without([["model"], ["model_provider"], ["model_providers", "ours"]]);
    const text = "# mine\nx = 1\n[y]\nz = 2\n";
    assert.deepEqual(rest(change(text)), rest(text));
    assert.notDeepEqual(rest(`${change(text)}\n[projects.p]\ntrust = "yes"\n`), rest(text));
    assert.notDeepEqual(rest(`# new\n${change(text)}`), rest(text));
  });

  it("has what it should and all else, whatever there was, and twice is once", () => {
    const root = fc.constantFrom(
      "x = 1\n",
      'model = "m"\n',
      "# c\n",
      "\n",
      "a.b = [1,\n 2]\n",
      'model_provider="p"#c\n',
      "t = '''\n[no]\n'''\n",
    );
    const table = fc.constantFrom(
      "[p]\nmodel = 1\n",
      "# d\n[[q]]\nmodel = 2\n",
      "[model_providers.ours]\nextra = 1\n",
      "[ model_providers . other ]\nname = 'n'\n",
      "[model_providers]\n",
      "[p.model_providers.ours]\nname = 3",
    );
    const unique = { selector: (text: string) => text.trim().split(/[ =#]/)[0] ?? "" };
    fc.assert(
      fc.property(fc.uniqueArray(root, unique), fc.uniqueArray(table), (roots, tables) => {
        const text = [...roots, ...tables.map((one) => (one.endsWith("\n") ? one : `${one}\n`))].join("");
        const before = tomlFormat.parse(text);
        const changed = change(text);
        assert.deepEqual(tomlFormat.parse(changed).without(places), before.without(places));
        assert.equal(change(changed), changed);
      }),
    );
  });
});
