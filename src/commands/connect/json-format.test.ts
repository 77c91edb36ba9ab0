import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { changeText, FormatProblem, type Setting } from "./file-format.ts";
import { createJsonFormat } from "./json-format.ts";

const strict = createJsonFormat({ allowsComments: false, emptyText: "{}\n" });
const relaxed = createJsonFormat({ allowsComments: true, emptyText: '{\n  "$schema": "x"\n}\n' });
const url: Setting = { path: ["env", "URL"], value: "http://x" };

describe("a JSON file", () => {
  it("gets a new member last, with the indentation that is there", () => {
    assert.equal(
      strict.set('{\n    "a": 1,\n    "env": {\n        "B": "2"\n    }\n}\n', [url]),
      '{\n    "a": 1,\n    "env": {\n        "B": "2",\n        "URL": "http://x"\n    }\n}\n',
    );
    assert.equal(strict.set('{\n\t"a": 1\n}', [url]), '{\n\t"a": 1,\n\t"env": {\n\t\t"URL": "http://x"\n\t}\n}');
  });

  it("has values replaced where they stand, and nothing done when they are right", () => {
    const text = '{"z":0,"env" : { "URL" :"old" , "C":[1, 2]}}';
    assert.equal(strict.set(text, [url]), '{"z":0,"env" : { "URL" :"http://x" , "C":[1, 2]}}');
    assert.equal(strict.set(text, [{ path: ["env", "C"], value: [1, 2] }]), text);
  });

  it("stays on one line when it is on one, and opens up when it is empty", () => {
    assert.equal(strict.set('{"a":1}', [{ path: ["b"], value: { c: 2 } }]), '{"a":1, "b": {"c":2}}');
    assert.equal(strict.set("{}", [{ path: ["b"], value: 1 }]), '{\n  "b": 1\n}');
    assert.equal(strict.set(" \n", [{ path: ["b"], value: 1 }]), '{\n  "b": 1\n}\n');
  });

  it("keeps comments with what they are about, trailing commas, and the ends of its lines", () => {
    assert.equal(
      relaxed.set('{\r\n  // first\r\n  "a": 1 // about a\r\n  // last\r\n}\r\n', [{ path: ["b"], value: 2 }]),
      '{\r\n  // first\r\n  "a": 1, // about a\r\n  "b": 2\r\n  // last\r\n}\r\n',
    );
    assert.equal(
      relaxed.set('{\n  "a": 1, /* about a */\n}\n', [{ path: ["b"], value: 2 }]),
      '{\n  "a": 1, /* about a */\n  "b": 2,\n}\n',
    );
    assert.equal(relaxed.set("{ // none yet\n}", [{ path: ["b"], value: 2 }]), '{ // none yet\n  "b": 2\n}');
  });

  it("is compared without our places, the objects made for them, and its layout; but with its comments", () => {
    const rest = (text: string) => relaxed.parse(text).without([["env", "URL"], ["model"]]);
    assert.deepEqual(rest('{"a":1}'), rest('{\n"env":{"URL":"x"}, "model":"m", "a":1}'));
    assert.notDeepEqual(rest('{"a":1}'), rest('{"a":1,"env":{"X":"x"}}'));
    assert.notDeepEqual(rest('{"a":1}'), rest('{"a":1 // new\n}'));
  });

  it("takes the last of two members of one name, as parsers do", () => {
    assert.equal(strict.set('{"env":1,"env":{"URL":"a"}}', [url]), '{"env":1,"env":{"URL":"http://x"}}');
  });

  it("is refused when it is no JSON, with the place and without a word of it", () => {
    const broken = [
      '{"a":',
      '{"a":1,}',
      "{a:1}",
      '{"a":1} x',
      "[]",
      '"x"',
      '{"a":1 /**/}',
      '{"a":01}',
      "{'a':1}",
      '{"a" 1}',
    ];
    for (const text of broken) assert.throws(() => strict.parse(text), FormatProblem, text);
    assert.throws(() => strict.parse('{\n  "token": sk-secret\n}'), { message: "it is not valid JSON at 2:12" });
    assert.throws(() => strict.parse(`${'{"a":'.repeat(200)}1${"}".repeat(200)}`), FormatProblem);
    assert.throws(
      () => changeText(strict, '{"env":"x"}', [url], "~/f"),
      /Cannot edit ~\/f: env is there and is not an object/,
    );
  });

  it("has what it should and all else, whatever there was, and twice is once", () => {
    const layouts = fc.constantFrom(undefined, 1, 2, "\t");
    const document = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }));
    const places = fc.uniqueArray(fc.constantFrom("env", "model", "a", "b.c"), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(document, layouts, fc.boolean(), places, fc.string(), (content, layout, isWindows, names, value) => {
        const lines = JSON.stringify(content, null, layout);
        const text = isWindows ? lines.replaceAll("\n", "\r\n") : lines;
        const settings = names.map((name): Setting => ({ path: ["glm proxy", name], value }));
        for (const format of [strict, relaxed]) {
          const changed = changeText(format, text, settings, "file");
          for (const { path } of settings) assert.equal(format.parse(changed).get(path), value);
          const all = JSON.parse(changed) as Record<string, unknown>;
          delete all["glm proxy"];
          assert.deepEqual(all, JSON.parse(text));
          assert.equal(changeText(format, changed, settings, "file"), changed);
          if (isWindows && text.includes("\n")) assert.doesNotMatch(changed.replaceAll("\r\n", ""), /\n/);
        }
      }),
    );
  });

  it("keeps every comment, wherever it stands", () => {
    const gap = fc.constantFrom("", " ", "\n", "\n  ", " // c\n", "/* d\n */", "\t/*e*/\n  //f\n");
    fc.assert(
      fc.property(
        fc.array(gap, { minLength: 9, maxLength: 9 }),
        fc.boolean(),
        ([a, b, c, d, e, f, g, h, i], hasComma) => {
          const text = `${a}{${b}"x"${c}:${d}1${e},${f}"y"${g}: {}${hasComma ? "," : ""}${h}}${i}`;
          const changed = changeText(
            relaxed,
            text,
            [
              { path: ["y", "URL"], value: 1 },
              { path: ["z"], value: 2 },
            ],
            "file",
          );
          for (const comment of text.match(/\/\/ c|\/\* d\n \*\/|\/\*e\*\/|\/\/f/g) ?? [])
            assert.ok(changed.includes(comment));
          assert.deepEqual([relaxed.parse(changed).get(["y"]), relaxed.parse(changed).get(["z"])], [{ URL: 1 }, 2]);
        },
      ),
    );
  });
});
