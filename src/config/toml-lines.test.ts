import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { formatPath, isTable, type Path } from "./paths.ts";
import { locateKeys } from "./toml-lines.ts";

describe("locateKeys()", () => {
  it("finds keys of tables, arrays of tables, dotted and quoted keys", () => {
    const lines = locateKeys(`# comment with "quote
a = 1 # [b]
b.c."d.e" = 'x'

[glm.models."glm-5*"]
timeout_seconds = 5
[[auth.users]]
username = "a"
[[auth.users]]
username = "b"
[auth.users.extra]
x = 1
[ auth . other ]
y=2`);
    assert.deepEqual(Object.fromEntries([...lines].filter(([id]) => !id.startsWith("b.c") || id.includes("d.e"))), {
      a: 2,
      b: 3,
      'b.c."d.e"': 3,
      glm: 5,
      "glm.models": 5,
      'glm.models."glm-5*"': 5,
      'glm.models."glm-5*".timeout_seconds': 6,
      auth: 7,
      "auth.users": 7,
      "auth.users[0]": 7,
      "auth.users[0].username": 8,
      "auth.users[1]": 9,
      "auth.users[1].username": 10,
      "auth.users[1].extra": 11,
      "auth.users[1].extra.x": 12,
      "auth.other": 13,
      "auth.other.y": 14,
    });
  });

  it("steps over strings and arrays of many lines", () => {
    const lines = locateKeys(`a = """
b = 1
\\""" still ""
"""
c = [
  1, # ]
  "]",
  { d = 2, e = [3] },
]
f = '''
g = 1'''
h = 2
`);
    assert.equal(lines.get("b"), undefined);
    assert.equal(lines.get("c"), 5);
    assert.equal(lines.get("c[1]"), 7);
    assert.equal(lines.get("c[2].e[0]"), 8);
    assert.equal(lines.get("g"), undefined);
    assert.equal(lines.get("h"), 12);
  });

  it("agrees with the parser on which keys there are", () => {
    const name = fc.oneof(fc.stringMatching(/^[a-z0-9_-]{1,6}$/), fc.string({ minLength: 1, maxLength: 6 }));
    const scalar = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    const { table } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, scalar, fc.array(scalar, { maxLength: 3 }), tie("table"), tie("tables")),
      table: fc.dictionary(name, tie("value"), { maxKeys: 4 }),
      tables: fc.array(tie("table"), { minLength: 1, maxLength: 3 }),
    }));
    fc.assert(
      fc.property(table, (content) => {
        const toml = stringify(content);
        const lines = locateKeys(toml);
        const rows = toml.split("\n");
        for (const path of listPaths(parse(toml))) {
          const line = lines.get(formatPath(path));
          assert.ok(line !== undefined && line <= rows.length, `${formatPath(path)} in\n${toml}`);
        }
      }),
      // An escaped backslash before what would be an escape by itself.
      { examples: [[{ " ": { "0": [{ "\\U0 ": [] }, {}] } }]] },
    );
  });
});

function listPaths(value: unknown, path: Path = []): Path[] {
  const members: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : isTable(value)
      ? Object.entries(value)
      : [];
  return members.flatMap(([name, member]) => [[...path, name], ...listPaths(member, [...path, name])]);
}
