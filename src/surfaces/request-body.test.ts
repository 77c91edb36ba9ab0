import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { idFields } from "./named-ids.ts";
import { parseJsonRequest } from "./request-body.ts";

const parse = (text: string) => parseJsonRequest(Buffer.from(text));
const wide = fc.string({ unit: fc.constantFrom("a", "é", "中", "\u{1f600}", '"', "\\", "\n", "\u2028") });

describe("parseJsonRequest()", () => {
  it("knows what is said at the top, whatever the alphabet, escaped or not", () => {
    fc.assert(
      fc.property(wide, wide, fc.boolean(), (model, content, isEscaped) => {
        const text = JSON.stringify({ model, messages: [{ content }], stream: true });
        const sent = isEscaped
          ? text.replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
          : text;
        const { fields, readWhole } = parse(sent);
        assert.equal(fields.model, model);
        assert.equal(fields.stream, true);
        assert.equal((fields.messages as unknown[]).length, 1);
        assert.deepEqual(readWhole(), JSON.parse(text));
      }),
    );
  });

  it("mixes up no escape with a byte", () => {
    assert.equal(parse('{"model":"caf\\u00e9","messages":["中"]}').fields.model, "café");
    assert.equal(parse('{"model":"\\u4e2dé"}').fields.model, "中é");
  });

  it("refuses what is no JSON object in UTF-8", () => {
    for (const text of ["", "[]", "1", "{", '{"a":é}', '{"a":"\u0001é"}', "{}é"]) {
      assert.throws(() => parse(text), { reason: "invalid_json" }, text);
    }
    for (const bytes of [
      [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d],
      [0x7b, 0xc3],
    ]) {
      assert.throws(() => parseJsonRequest(Buffer.from(bytes)), { reason: "invalid_json" });
    }
  });

  it("refuses what nests deeper than 64 levels", () => {
    const nest = (levels: number) => `{"é":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
    assert.ok(parse(nest(64)));
    assert.throws(() => parse(nest(65)), { reason: "invalid_json" });
  });
});

describe("members that two readers may take for different ones", () => {
  it("are refused at the top where something depends on them", () => {
    for (const text of [
      '{"model":"a","model":"b"}',
      '{"model":"a","Model":"b"}',
      '{"Model":"a"}',
      '{"mod\\u0065l":"a","model":"b"}',
      '{"model":"a","\\u004dodel":"b"}',
      '{"model":"a","mo-del":"b"}',
      '{"\u212anowledge_id":"x"}',
      '{"\uff4dodel":"a"}',
      '{"\u017ftream":true}',
      '{"STREAM":true}',
      '{"Max_Tokens":1}',
      '{"maxTokens":1}',
      '{"model":"a","messages":[1],"messages":[2]}',
    ]) {
      assert.throws(() => parse(text).readIds(), { reason: "invalid_field" }, text);
    }
    const harmless =
      '{"model":"a","max_tokens":1,"messages":[{"model":"b","Model":"c","x":"model","y":["Model"]}],"modes":1,"x":1,"x":2}';
    assert.equal(parse(harmless).fields.model, "a");
  });

  it("never leave another model to a reader than the one that was checked", () => {
    const names = fc.constantFrom(
      "model",
      "model",
      "Model",
      "MODEL",
      "mod\\u0065l",
      "\uff4dodel",
      "mo del",
      "x",
      "messages",
    );
    const values = fc.constantFrom('"small"', '"large"', "null", "1", '{"model":"large"}', '["model"]');
    const members = fc.array(fc.tuple(names, values), { maxLength: 5 });
    let passed = 0;
    fc.assert(
      fc.property(members, (pairs) => {
        const text = `{${pairs.map(([name, value]) => `"${name}":${value}`).join(" , ")}}`;
        let checked: unknown;
        try {
          checked = parse(text).fields.model;
        } catch (error) {
          assert.equal((error as { reason?: string }).reason, "invalid_field");
          return;
        }
        passed++;
        const folds = (name: string) =>
          (JSON.parse(`"${name}"`) as string).normalize("NFKC").toLowerCase().replace(/ /g, "");
        const read = pairs.filter(([name]) => folds(name) === "model").map(([, value]) => JSON.parse(value) as unknown);
        assert.deepEqual(read, checked === undefined ? [] : [checked]);
      }),
      { numRuns: 2_000 },
    );
    assert.ok(passed > 100, `${passed} passed`);
  });
});

describe("ids in a body", () => {
  const idsOf = (text: string, free: readonly string[] = []) => parse(text).readIds(free);

  for (const [field, kind] of idFields) {
    it(`of ${field} are found wherever they stand, or the body is refused`, () => {
      const one = kind === "list" ? ["id-1"] : "id-1";
      const expected = kind === "voice" ? { uses: [], voices: ["id-1"] } : { uses: ["id-1"], voices: [] };
      const member = `"${field}":${JSON.stringify(one)}`;
      for (const text of [
        `{${member}}`,
        `{"a":{${member}}}`,
        `{"a":[[{"b":{${member}}}]]}`,
        `{"a":"\u4e2d",${member}}`,
      ])
        assert.deepEqual(idsOf(text), expected, text);
      assert.deepEqual(idsOf(`{"${field}":null}`), { uses: [], voices: [] });

      const escaped = `"\\u00${field.charCodeAt(0).toString(16)}${field.slice(1)}"`;
      assert.deepEqual(idsOf(`{${escaped}:${JSON.stringify(one)}}`), expected);
      const otherNames = [field.toUpperCase(), field.replace(/^./, (first) => first.toUpperCase()), ` ${field}`];
      if (field.includes("_")) otherNames.push(field.replaceAll("_", "-"), field.replaceAll("_", ""));
      const values = [
        1791021399316246528n,
        true,
        {},
        { id: "id-1" },
        "",
        kind === "list" ? "id-1" : ["id-1"],
        [["id-1"]],
      ];
      for (const text of [
        ...otherNames.flatMap((name) => [`{"${name}":"id-1"}`, `{"a":{"${name}":"id-1"}}`]),
        ...values.map((value) => `{"a":[{"${field}":${typeof value === "bigint" ? value : JSON.stringify(value)}}]}`),
        `{${member},"${field}":null}`,
        `{"a":{${member},${member}}}`,
        `{"a":{"b":{${member}},"b":{}}}`,
        `{"a":{"b":{${member}},"b":{${member}},"c":{"metadata":{}}}}`,
      ]) {
        assert.throws(() => idsOf(text), { reason: "invalid_field" }, text);
      }
    });
  }

  it("are not looked for in schemas, in what models wrote and in what is the client's own", () => {
    for (const name of ["parameters", "input_schema", "json_schema", "arguments", "metadata"]) {
      assert.deepEqual(idsOf(`{"tools":[{"${name}":{"properties":{"file_id":{"type":"string"}}}}]}`).uses, [], name);
    }
    const call = '{"messages":[{"content":[{"type":"tool_use","input":{"task_id":7}}]}]}';
    assert.deepEqual(idsOf(call, ["input"]).uses, []);
    assert.throws(() => idsOf(call), { reason: "invalid_field" });
  });

  it("are of every field of the reference that looks like one, or there is a reason why not", () => {
    for (const field of referenceFields) {
      assert.ok(idFields.has(field) !== plainFields.has(field), field);
    }
  });
});

/** Of requests in GLM's and OpenAI's references: what ends in _id, _ids or _file, and voices. */
const referenceFields =
  "request_id user_id tool_call_id knowledge_id knowledge_ids file_id file_ids input_file_id custom_id training_file validation_file batch_id async_id task_id agent_id conversation_id assistant_id embedding_id document_id voice voice_id".split(
    " ",
  );

/** Those that name no object of anybody's. */
const plainFields: ReadonlyMap<string, string> = new Map([
  ["request_id", "the client's own name for its call"],
  ["user_id", "the client's own name for an end user"],
  ["agent_id", "one of GLM's published agents, the same for everybody"],
  ["assistant_id", "one of GLM's published assistants, the same for everybody"],
  ["embedding_id", "the number of an embedding model"],
  ["tool_call_id", "a call of a tool in the conversation that the request itself carries"],
  ["custom_id", "the client's own name for a line of its batch file"],
]);
