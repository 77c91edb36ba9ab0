// Inputs that real clients and compatible servers send, with what has to come of them. Requests: what reaches the upstream.
// Answers: through the event scanner and the translator together, as the relay runs them, and whole.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { createSseScanner } from "../base/sse-scanner.ts";
import type { Translation, UpstreamKind } from "../base/translation.ts";
import type { Fields } from "./fields.ts";
import { translateMessages } from "./messages/translate-messages.ts";
import { translateResponses } from "./responses/translate-responses.ts";

const contextFor = (upstreamKind: UpstreamKind) => ({
  requestId: "0199-a",
  model: "m1",
  upstreamModel: "m1",
  upstreamKind,
  nowSeconds: 1_700_000_000,
  inputTokensEstimate: 12,
});
const messages = (body: Fields, kind: UpstreamKind = "openai") =>
  translateMessages(
    { model: "m1", max_tokens: 50, messages: [{ role: "user", content: "hi" }], ...body },
    contextFor(kind),
  );
const responses = (body: Fields, kind: UpstreamKind = "openai") =>
  translateResponses({ model: "m1", input: "hi", ...body }, contextFor(kind));
const chatOf = ({ chatBody }: Translation) => JSON.parse(chatBody.toString()) as Fields;
const messagesOf = (translation: Translation) => chatOf(translation).messages as Fields[];

const user = { role: "user", content: "q" };
const both: readonly UpstreamKind[] = ["glm", "openai"];

/** The events of the dialect for chunks of a chat, cut into pieces of `size` bytes. */
function stream(translation: Translation, chunks: readonly (object | "[DONE]")[], size = 1_000_000): Fields[] {
  const text = chunks.map((chunk) => `data: ${chunk === "[DONE]" ? chunk : JSON.stringify(chunk)}\n\n`).join("");
  const scanner = createSseScanner({ format: "chat" });
  const translator = translation.openStream();
  const events: Fields[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data) as Fields) });
  const take = (bytes: Buffer | null) => {
    const said = bytes === null ? null : translator.push(bytes);
    if (said !== null) parser.feed(said.toString());
  };
  for (let at = 0; at < text.length; at += size) take(scanner.push(Buffer.from(text.slice(at, at + size))));
  take(scanner.flush());
  const rest = translator.end();
  if (rest !== null) parser.feed(rest.toString());
  return events;
}

/** The response in its last event. */
const responseOf = (events: readonly Fields[]) => (events.at(-1) as Fields).response as Fields;
const outputOf = (events: readonly Fields[]) => responseOf(events).output as Fields[];
const delta = (said: object, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta: said, finish_reason }],
});
const callDelta = (...calls: readonly object[]) => delta({ tool_calls: calls });
const usage = { prompt_tokens: 10, completion_tokens: 5 };

describe("usage of a translated stream", () => {
  const zeros = { prompt_tokens: 0, completion_tokens: 0 };
  const positions: Readonly<Record<string, object[]>> = {
    "in a chunk of its own": [delta({ content: "a" }), delta({}, "stop"), { choices: [], usage }],
    "in the last chunk": [delta({ content: "a" }), { ...delta({}, "stop"), usage }],
    "after zeros": [{ ...delta({ content: "a" }), usage: zeros }, delta({}, "stop"), { choices: [], usage }],
    "before zeros": [delta({ content: "a" }), { ...delta({}, "stop"), usage }, { choices: [], usage: zeros }],
  };
  for (const [place, chunks] of Object.entries(positions)) {
    it(`reaches both dialects ${place}`, () => {
      const ended = stream(messages({}), [...chunks, "[DONE]"]).find(({ type }) => type === "message_delta");
      assert.deepEqual(ended?.usage, {
        input_tokens: 10,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 5,
      });
      const completed = stream(responses({}), [...chunks, "[DONE]"]).at(-1)?.response as Fields;
      assert.equal((completed.usage as Fields).total_tokens, 15);
    });
  }
});

describe("a history", () => {
  const call = (id: string, name: string, input: object = {}) => ({ type: "tool_use", id, name, input });
  const chatCall = (id: string, name: string, args = "{}") => ({
    id,
    type: "function",
    function: { name, arguments: args },
  });

  it("may have system messages in the middle", () => {
    const list = [user, { role: "system", content: "b" }, user];
    const roles = (kind: UpstreamKind) => messagesOf(messages({ messages: list }, kind)).map(({ role }) => role);
    assert.deepEqual(roles("glm"), ["user", "system", "user"]);
    assert.deepEqual(roles("openai"), ["user", "user", "user"]);
  });

  it("keeps one system message at the beginning for upstreams whose templates take no other", () => {
    const input = [
      { role: "developer", content: "D1" },
      user,
      { role: "developer", content: "D2" },
      { role: "user", content: "q2" },
    ];
    assert.deepEqual(messagesOf(responses({ instructions: "I", input })), [
      { role: "system", content: "I\n\nD1" },
      user,
      { role: "user", content: "D2" },
      { role: "user", content: "q2" },
    ]);
  });

  it("turns what a chat has no place for into words, or leaves it out (Messages)", () => {
    const result = (content: unknown) => [
      user,
      { role: "assistant", content: [call("t1", "ToolSearch")] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content }] },
    ];
    const asked = (block: object) => [{ role: "user", content: [block] }];
    const cases: [object[], object[]][] = [
      [
        result([{ type: "tool_reference", tool_name: "TaskStop" }]),
        [
          user,
          { role: "assistant", content: null, tool_calls: [chatCall("t1", "ToolSearch")] },
          { role: "tool", tool_call_id: "t1", content: "TaskStop" },
        ],
      ],
      [
        asked({ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } }),
        [{ role: "user", content: "[document: application/pdf]" }],
      ],
      [
        asked({ type: "document", title: "T", source: { type: "content", content: [{ type: "text", text: "x" }] } }),
        [{ role: "user", content: "x" }],
      ],
      [asked({ type: "image", source: { type: "file", file_id: "f" } }), [{ role: "user", content: "[image]" }]],
      [asked({ type: "container_upload", file_id: "f" }), [{ role: "user", content: "[container_upload]" }]],
      [
        [
          user,
          {
            role: "assistant",
            content: [
              { type: "server_tool_use", id: "s1", name: "web_search", input: {} },
              { type: "web_search_tool_result", tool_use_id: "s1", content: [] },
              { type: "text", text: "a" },
            ],
          },
          user,
        ],
        [user, { role: "assistant", content: "a" }, user],
      ],
      [
        [user, { role: "assistant", content: [{ type: "server_tool_use", id: "s1" }] }, user],
        [user, user],
      ],
    ];
    for (const [list, expected] of cases)
      for (const kind of both) assert.deepEqual(messagesOf(messages({ messages: list }, kind)), expected);
  });

  it("turns what a chat has no place for into words, or leaves it out (Responses)", () => {
    const called = (name: string, args: string, result: string) => [
      { role: "assistant", content: null, tool_calls: [chatCall("c1", name, args)] },
      { role: "tool", tool_call_id: "c1", content: result },
    ];
    const cases: [object[], object[]][] = [
      [[{ type: "additional_tools", role: "developer", tools: [] }], []],
      [
        [
          { type: "custom_tool_call", call_id: "c1", name: "apply_patch", input: "*** Begin" },
          { type: "custom_tool_call_output", call_id: "c1", output: "ok" },
        ],
        called("apply_patch", '{"input":"*** Begin"}', "ok"),
      ],
      [
        [{ type: "local_shell_call", call_id: "c1", action: { type: "exec", command: ["ls"] }, status: "completed" }],
        called("local_shell", '{"type":"exec","command":["ls"]}', "[no result]"),
      ],
      [
        [
          { type: "shell_call", call_id: "c1", action: { commands: ["ls"] } },
          { type: "shell_call_output", call_id: "c1", output: [{ stdout: "a" }] },
        ],
        called("shell", '{"commands":["ls"]}', '{"stdout":"a"}'),
      ],
      [[{ type: "web_search_call", id: "ws_1", status: "completed" }], []],
      [[{ type: "item_reference", id: "msg_1" }], []],
      [[{ type: "compaction", encrypted_content: "x" }], []],
      [[{ type: "mcp_list_tools", server_label: "x", tools: [] }], []],
      [[{ type: "something_new", call_id: 7 }], []],
    ];
    for (const [items, expected] of cases)
      for (const kind of both)
        assert.deepEqual(messagesOf(responses({ input: [user, ...items, user] }, kind)), [user, ...expected, user]);
  });

  it("never ends a session by an item, block or part of an invented type", () => {
    const invented = fc
      .record({ type: fc.stringMatching(/^[a-z_]{1,20}$/) })
      .filter(
        ({ type }) => !["text", "input_text", "output_text", "refusal", "message", "image", "thinking"].includes(type),
      );
    fc.assert(
      fc.property(invented, fc.constantFrom("user", "assistant", "system", "developer", "critic"), (block, role) => {
        for (const kind of both) {
          const nested = { type: "tool_result", tool_use_id: "t", content: [block] };
          messages({ messages: [user, { role, content: [block] }, { role: "user", content: [nested] }] }, kind);
          if (/_call$|_output$/.test(block.type)) continue;
          const output = { type: "function_call_output", call_id: "c", output: [block] };
          responses({ input: [user, block, { role, content: [block] }, output] }, kind);
        }
      }),
    );
  });

  it("keeps a call without arguments and without an id, and its result", () => {
    const input = [
      user,
      { type: "function_call", name: "now", arguments: "" },
      { type: "function_call_output", output: "12:00" },
    ];
    assert.deepEqual(messagesOf(responses({ input })).slice(1), [
      { role: "assistant", content: null, tool_calls: [chatCall("call_1", "now")] },
      { role: "tool", tool_call_id: "call_1", content: "12:00" },
    ]);
  });

  it("has the results of each call directly after it, whatever its order was", () => {
    const anyItem = fc.oneof(
      fc.record({
        type: fc.constant("function_call"),
        call_id: fc.constantFrom("a", "b", "c"),
        name: fc.constant("f"),
        arguments: fc.constant("{}"),
      }),
      fc.record({
        type: fc.constant("function_call_output"),
        call_id: fc.constantFrom("a", "b", "c"),
        output: fc.constant("x"),
      }),
      fc.record({ role: fc.constantFrom("user", "assistant", "developer", "system"), content: fc.constant("t") }),
    );
    fc.assert(
      fc.property(fc.array(anyItem, { minLength: 1, maxLength: 12 }), fc.constantFrom(...both), (input, kind) => {
        const list = messagesOf(responses({ input }, kind));
        const callIds = list.flatMap((message) => ((message.tool_calls ?? []) as { id: string }[]).map(({ id }) => id));
        assert.deepEqual(requireValidOrder(list, kind), callIds.length);
        const asked = input.filter((item) => "type" in item && item.type === "function_call").length;
        assert.equal(callIds.length, asked, "no call is lost");
      }),
      { numRuns: 1_000 },
    );
  });
});

/** The rules of OpenAI's reference and of common chat templates. Returns how many calls have their result. */
function requireValidOrder(list: readonly Fields[], kind: UpstreamKind): number {
  let answered = 0;
  for (let at = 0; at < list.length; at++) {
    const { role, tool_calls: calls } = list[at] as { role: string; tool_calls?: { id: string }[] };
    if (kind === "openai") assert.ok(role !== "system" || at === 0, "one system message, the first");
    if (role === "tool") assert.fail("a result without a call before it");
    if (calls === undefined) continue;
    assert.equal(new Set(calls.map(({ id }) => id)).size, calls.length);
    for (const { id } of calls) {
      const next = list[++at] as Fields;
      assert.deepEqual([next?.role, next?.tool_call_id], ["tool", id]);
      answered++;
    }
  }
  return answered;
}

describe("tools", () => {
  const search = { type: "function", name: "search", parameters: { type: "object", properties: {} } };
  const namespace = { type: "namespace", name: "mcp__docs__", tools: [search, { type: "custom", name: "x" }] };
  const shell = { ...search, name: "shell" };
  const namesOf = (translation: Translation) =>
    ((chatOf(translation).tools ?? []) as { function: { name: string } }[]).map((tool) => tool.function.name);

  it("of a namespace are functions for the upstream, and come back with their namespace", () => {
    for (const kind of both) {
      const translation = responses({ tools: [shell, namespace] }, kind);
      assert.deepEqual(namesOf(translation), ["shell", "mcp__docs__search"]);
      const chunks = [
        callDelta({ index: 0, id: "c1", function: { name: "mcp__docs__search", arguments: "{}" } }),
        delta({}, "tool_calls"),
      ];
      const expected = {
        type: "function_call",
        namespace: "mcp__docs__",
        name: "search",
        call_id: "c1",
        arguments: "{}",
      };
      const events = stream(translation, chunks);
      const done = events.find(({ type }) => type === "response.output_item.done")?.item as Fields;
      assert.deepEqual(
        { ...done, id: undefined, status: undefined },
        { ...expected, id: undefined, status: undefined },
      );
      const message = { tool_calls: [{ id: "c1", function: { name: "mcp__docs__search", arguments: "{}" } }] };
      const whole = translation.translateWhole({ choices: [{ message, finish_reason: "tool_calls" }] }) as Fields;
      assert.deepEqual((whole.output as Fields[])[0], done);
    }
  });

  it("of a namespace have the same name in the history", () => {
    const item = { type: "function_call", call_id: "c1", namespace: "mcp__docs__", name: "search", arguments: "{}" };
    const translation = responses({ tools: [namespace], input: [user, item] });
    const [, calling] = messagesOf(translation) as { tool_calls: { function: { name: string } }[] }[];
    assert.deepEqual([calling?.tool_calls[0]?.function.name], namesOf(translation));
  });

  it("of namespaces have unique names of at most 64 characters", () => {
    const anyName = fc.oneof(
      fc.string({ minLength: 1, maxLength: 90 }),
      fc.constantFrom("a", "a_", "a__b", "b", "mcp__a"),
    );
    const anyTool = fc.record({ namespace: anyName, name: anyName });
    fc.assert(
      fc.property(fc.uniqueArray(anyTool, { selector: (tool) => JSON.stringify(tool), maxLength: 12 }), (tools) => {
        const list = tools.map(({ namespace: name, name: own }) => ({
          type: "namespace",
          name,
          tools: [{ ...search, name: own }],
        }));
        const names = namesOf(responses({ tools: [{ ...search, name: "a__b" }, ...list] }));
        assert.equal(new Set(names).size, tools.length + 1);
        for (const name of names) assert.match(name, /^[\w-]{1,64}$/);
      }),
    );
  });

  it("that come in the middle of the conversation are offered too", () => {
    const translation = responses({ tools: [shell], input: [user, { type: "additional_tools", tools: [search] }] });
    assert.deepEqual(namesOf(translation), ["shell", "search"]);
  });

  it("are limited to those that the choice allows", () => {
    const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "search" }] };
    const translation = responses({ tools: [shell, search], tool_choice: choice });
    assert.deepEqual([namesOf(translation), chatOf(translation).tool_choice], [["search"], "required"]);
  });

  it("show their pictures after their words, in both dialects", () => {
    const url = "data:image/png;base64,AAAA";
    const expected = [
      { role: "tool", tool_call_id: "c1", content: "see" },
      { role: "user", content: [{ type: "image_url", image_url: { url } }] },
    ];
    const output = [
      { type: "input_text", text: "see" },
      { type: "input_image", image_url: url },
    ];
    const input = [
      user,
      { type: "function_call", call_id: "c1", name: "view_image", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output },
    ];
    assert.deepEqual(messagesOf(responses({ input })).slice(-2), expected);
    const content = [
      { type: "text", text: "see" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
    ];
    const list = [
      user,
      { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "view_image", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "c1", content }] },
    ];
    assert.deepEqual(messagesOf(messages({ messages: list })).slice(-2), expected);
  });
});

describe("constraints on the answer", () => {
  const schema = {
    type: "object",
    properties: { ok: { type: "boolean" } },
    required: ["ok"],
    additionalProperties: false,
  };
  const format = { type: "json_schema", name: "ans", strict: true, schema };
  const tool = { type: "function", name: "f", strict: true, parameters: { type: "object", properties: {} } };
  const part = (translation: Translation, ...members: readonly string[]) => {
    const chat = chatOf(translation);
    return Object.fromEntries(members.flatMap((name) => (name in chat ? [[name, chat[name]]] : [])));
  };

  it("reach an OpenAI-compatible upstream in its own form", () => {
    const wanted = { response_format: { type: "json_schema", json_schema: { name: "ans", strict: true, schema } } };
    assert.deepEqual(part(responses({ text: { format } }), "response_format"), wanted);
    assert.deepEqual(part(messages({ output_config: { format } }), "response_format"), wanted);
    assert.deepEqual(part(messages({ output_format: format }), "response_format"), wanted);
    const serial = responses({ parallel_tool_calls: false, tools: [tool] });
    assert.deepEqual(part(serial, "parallel_tool_calls"), { parallel_tool_calls: false });
    const [sent] = chatOf(serial).tools as { function: Fields }[];
    assert.equal(sent?.function.strict, true);
    const choice = { type: "auto", disable_parallel_tool_use: true };
    const asked = messages({
      tool_choice: choice,
      tools: [{ name: "f", input_schema: { type: "object" }, strict: true }],
    });
    assert.deepEqual(part(asked, "parallel_tool_calls"), { parallel_tool_calls: false });
    assert.equal((chatOf(asked).tools as { function: Fields }[])[0]?.function.strict, true);
    const hints = part(responses({ reasoning: { effort: "xhigh" } }), "reasoning_effort", "thinking");
    assert.deepEqual(hints, { reasoning_effort: "high" });
    assert.deepEqual(
      part(messages({ thinking: { type: "enabled" }, metadata: { user_id: "u" } }), "thinking", "user", "user_id"),
      {
        user: "u",
      },
    );
  });

  it("reach GLM as words where its API has no member for them", () => {
    for (const translation of [responses({ text: { format } }, "glm"), messages({ output_format: format }, "glm")]) {
      assert.deepEqual(chatOf(translation).response_format, { type: "json_object" });
      const [system] = messagesOf(translation);
      assert.equal(system?.role, "system");
      assert.ok(((system as Fields).content as string).includes(JSON.stringify(schema)));
    }
  });

  it("are repeated in the answer only where they were applied", () => {
    const body = { parallel_tool_calls: false, tools: [tool, { type: "web_search" }] };
    const answer = { choices: [{ message: { content: "x" }, finish_reason: "stop" }] };
    const head = (kind: UpstreamKind) => responses(body, kind).translateWhole(answer) as Fields;
    assert.deepEqual([head("openai").parallel_tool_calls, head("openai").tools], [false, [tool]]);
    assert.equal(head("glm").parallel_tool_calls, true);
  });
});

describe("tool calls of an answer", () => {
  const x = { name: "x", arguments: '{"q":1}' };
  const y = { name: "y", arguments: '{"r":2}' };
  const forms: Readonly<Record<string, object[]>> = {
    "one delta each, the same index, empty ids": [
      callDelta({ index: 0, id: "", function: x }),
      callDelta({ index: 0, id: "", function: y }),
    ],
    "one delta each, without index and id": [callDelta({ function: x }), callDelta({ function: y })],
    "one delta for both, without index": [callDelta({ function: x }, { function: y })],
    "with index and id": [callDelta({ index: 0, id: "a", function: x }), callDelta({ index: 1, id: "b", function: y })],
    "with the same index and other ids": [
      callDelta({ index: 0, id: "a", function: x }),
      callDelta({ index: 0, id: "b", function: y }),
    ],
    "with one id for both": [
      callDelta({ index: 0, id: "a", function: x }),
      callDelta({ index: 0, id: "a", function: y }),
    ],
    "in pieces, without ids": [
      callDelta({ index: 0, function: { name: "x", arguments: "" } }),
      callDelta({ index: 0, function: { arguments: '{"q"' } }),
      callDelta({ index: 0, function: { arguments: ":1}" } }),
      callDelta({ index: 0, function: { name: "y", arguments: '{"r"' } }),
      callDelta({ index: 0, function: { arguments: ":2}" } }),
    ],
    "in pieces that repeat id and name": [
      callDelta({ index: 0, id: "a", function: { name: "x", arguments: '{"q"' } }),
      callDelta({ index: 0, id: "a", function: { name: "x", arguments: ":1}" } }),
      callDelta({ index: 1, id: "b", function: { name: "y", arguments: '{"r":2}' } }),
    ],
    "as objects": [
      callDelta({ function: { name: "x", arguments: { q: 1 } } }),
      callDelta({ function: { name: "y", arguments: { r: 2 } } }),
    ],
  };
  for (const [form, chunks] of Object.entries(forms)) {
    it(`are two, ${form}`, () => {
      const events = stream(responses({}), [...chunks, delta({}, "tool_calls"), "[DONE]"]);
      const items = outputOf(events);
      assert.deepEqual(
        items.map(({ name, arguments: text }) => [name, text]),
        [
          ["x", '{"q":1}'],
          ["y", '{"r":2}'],
        ],
      );
      assert.equal(new Set(items.map(({ call_id }) => call_id)).size, 2);
      const starts = stream(messages({}), [...chunks, delta({}, "tool_calls")]).filter(
        ({ type }) => type === "content_block_start",
      );
      assert.deepEqual(
        starts.map(({ content_block: block }) => (block as Fields).name),
        ["x", "y"],
      );
    });
  }

  it("are two of one name when the first was complete", () => {
    const chunks = [
      callDelta({ function: x }),
      callDelta({ function: { ...x, arguments: '{"q":2}' } }),
      delta({}, "stop"),
    ];
    const items = outputOf(stream(responses({}), chunks));
    assert.deepEqual(
      items.map(({ arguments: text }) => text),
      ['{"q":1}', '{"q":2}'],
    );
  });

  it("never have empty arguments", () => {
    for (const text of ["", null, "null", undefined]) {
      const chunks = [
        callDelta({ index: 0, id: "c1", function: { name: "now", arguments: text } }),
        delta({}, "tool_calls"),
      ];
      for (const kind of both) {
        const events = stream(responses({}, kind), chunks);
        const done = events.find(({ type }) => type === "response.function_call_arguments.done");
        assert.equal(done?.arguments, "{}");
        assert.equal(outputOf(events)[0]?.arguments, "{}");
        const message = { tool_calls: [{ id: "c1", function: { name: "now", arguments: text } }] };
        const whole = responses({}, kind).translateWhole({
          choices: [{ message, finish_reason: "tool_calls" }],
        }) as Fields;
        assert.equal((whole.output as Fields[])[0]?.arguments, "{}");
      }
    }
  });

  it("may come in the older form of a single call", () => {
    const chunks = [
      delta({ function_call: { name: "x", arguments: '{"q"' } }),
      delta({ function_call: { arguments: ":1}" } }, "function_call"),
    ];
    const items = outputOf(stream(responses({}), chunks));
    assert.deepEqual([items[0]?.name, items[0]?.arguments], ["x", '{"q":1}']);
  });
});

describe("the words of an answer", () => {
  const forms: Readonly<Record<string, { said: object; text?: string; reasoning?: string }>> = {
    "text in parts": {
      said: {
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      text: "ab",
    },
    "reasoning as vLLM writes it": { said: { reasoning: "hm", content: "a" }, text: "a", reasoning: "hm" },
    "reasoning as OpenRouter writes it": {
      said: { reasoning_details: [{ type: "reasoning.text", text: "hm" }], content: "a" },
      text: "a",
      reasoning: "hm",
    },
    "reasoning as Mistral writes it": {
      said: {
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
          { type: "text", text: "a" },
        ],
      },
      text: "a",
      reasoning: "hm",
    },
    "the words of a sound": { said: { content: null, audio: { id: "x", transcript: "a" } }, text: "a" },
  };
  for (const [form, { said, text = "", reasoning = "" }] of Object.entries(forms)) {
    it(`reach the client: ${form}`, () => {
      const whole = messages({}).translateWhole({ choices: [{ message: said, finish_reason: "stop" }] }) as Fields;
      const blocks = whole.content as Fields[];
      assert.equal(blocks.map((block) => block.text ?? "").join(""), text);
      assert.equal(blocks.map((block) => block.thinking ?? "").join(""), reasoning);
      const response = stream(responses({}), [delta(said), delta({}, "stop")]).at(-1)?.response as Fields;
      const parts = (response.output as Fields[]).flatMap((item) => (item.content ?? item.summary) as Fields[]);
      assert.equal(parts.map((each) => each.text).join(""), reasoning + text);
    });
  }

  const refused = { refusal: "I cannot help", content: null };
  it("of a refusal are a refusal", () => {
    const chunks = [delta({ refusal: "I cannot " }), delta({ refusal: "help" }), delta({}, "stop"), "[DONE]" as const];
    const completion = { choices: [{ index: 0, message: { role: "assistant", ...refused }, finish_reason: "stop" }] };
    const message = messages({}).translateWhole(completion) as Fields;
    assert.deepEqual([message.content, message.stop_reason], [[{ type: "text", text: "I cannot help" }], "refusal"]);
    const ended = stream(messages({}), chunks).find(({ type }) => type === "message_delta");
    assert.equal(((ended as Fields).delta as Fields).stop_reason, "refusal");
    const part = { type: "refusal", refusal: "I cannot help" };
    const response = responses({}).translateWhole(completion) as Fields;
    assert.deepEqual([response.status, (response.output as Fields[])[0]?.content], ["completed", [part]]);
    const events = stream(responses({}), chunks);
    const types = events.map(({ type }) => type);
    for (const type of ["response.refusal.delta", "response.refusal.done"]) assert.ok(types.includes(type), type);
    assert.deepEqual(outputOf(events), response.output);
  });

  it("that are missing, though tokens were taken, are an error", () => {
    for (const translation of [messages({}), responses({})]) {
      const completion = { choices: [{ message: { content: "" }, finish_reason: "stop" }], usage };
      assert.throws(() => translation.translateWhole(completion), { reason: "upstream_failed" });
      const chunks = [delta({ content: "" }), { ...delta({}, "stop"), usage }, "[DONE]" as const];
      assert.throws(() => stream(translation, chunks), { reason: "upstream_failed" });
    }
  });

  it("are never taken for all without a finish reason", () => {
    for (const chunks of [["[DONE]" as const], [delta({ content: "x" }), "[DONE]" as const], [delta({ content: "x" })]])
      for (const translation of [messages({}), responses({})])
        assert.throws(() => stream(translation, chunks), { reason: "upstream_truncated" });
  });
});
