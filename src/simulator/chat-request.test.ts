import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChatRequest, type Objection, parseChatRequest } from "./chat-request.ts";

const hello = { model: "glm-4.5-flash", messages: [{ role: "user", content: "hello" }] };
const parse = (body: object | string) =>
  parseChatRequest(Buffer.from(typeof body === "string" ? body : JSON.stringify(body)));

function accept(more: object): ChatRequest {
  const parsed = parse({ ...hello, ...more });
  assert.ok(!("code" in parsed), JSON.stringify(parsed));
  return parsed;
}

function refuse(more: object | string): [code: Objection["code"], param: string] {
  const parsed = parse(typeof more === "string" ? more : { ...hello, ...more });
  assert.ok("code" in parsed, `it was accepted: ${JSON.stringify(more)}`);
  return [parsed.code, parsed.param];
}

describe("a chat request at the simulated GLM", () => {
  it("needs a model and messages", () => {
    assert.deepEqual(accept({}).prompt, "hello");
    assert.deepEqual(refuse({ model: undefined }), ["1213", "model"]);
    assert.deepEqual(refuse({ model: "" }), ["1213", "model"]);
    assert.deepEqual(refuse({ messages: null }), ["1213", "messages"]);
  });

  it("must be a JSON object", () => {
    for (const body of ["", "{", "[]", '"text"', "null"]) assert.equal(refuse(body)[0], "1210", body);
  });

  it("must name a model that is there, in any case of letters", () => {
    assert.deepEqual(refuse({ model: "gpt-4" }), ["1211", "model"]);
    assert.equal(accept({ model: "GLM-4.5-Flash" }).model, "glm-4.5-flash");
  });

  const wrong: Record<string, readonly unknown[]> = {
    stream: ["true", 1],
    temperature: [-0.1, 1.1, "0.5"],
    top_p: [0, 1.1],
    max_tokens: [0, 1.5, 98_305, "10"],
    stop: ["END", ["a", "b"]],
    user_id: ["short", "x".repeat(129), 1_234_567],
    request_id: [1],
    thinking: [{ type: "maybe" }],
    tools: [{}, [{ type: "function", function: { name: "not a name" } }], Array(129).fill({ type: "web_search" })],
    messages: [[], [{}], ["text"], [{ role: "system", content: "alone" }], [{ role: "tool", content: "no id" }]],
  };
  for (const [param, values] of Object.entries(wrong)) {
    it(`is refused with 1214 for a wrong ${param}`, () => {
      for (const value of values) assert.deepEqual(refuse({ [param]: value }), ["1214", param], JSON.stringify(value));
    });
  }

  it("may have every parameter at its bounds, or null", () => {
    accept({ temperature: 0, top_p: 0.01, max_tokens: 1, stop: ["a"], user_id: "sixsix", thinking: {}, tools: [] });
    accept({ temperature: 1, top_p: 1, max_tokens: 98_304, user_id: "x".repeat(128), tools: [{ type: "web_search" }] });
    accept({ stream: null, temperature: null, max_tokens: null, stop: null, tools: null, thinking: null });
  });

  it("may have pictures for models that see only", () => {
    const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }];
    assert.deepEqual(refuse({ messages }), ["1214", "messages"]);
    accept({ messages, model: "glm-4.6v" });
  });

  it("may not bring back a tool call whose arguments are not JSON", () => {
    const bringBack = (text: string) => [
      { role: "assistant", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: text } }] },
      { role: "tool", tool_call_id: "1", content: "done" },
    ];
    assert.deepEqual(refuse({ messages: bringBack('{"a":') }), ["1210", "messages"]);
    accept({ messages: bringBack('{"a":1}') });
    accept({ messages: bringBack("") });
  });

  it("may not be longer than the model's context", () => {
    const messages = [{ role: "user", content: "字".repeat(256_001) }];
    assert.deepEqual(refuse({ messages }), ["1261", "messages"]);
    accept({ messages, model: "glm-4.7" });
  });

  it("thinks unless told not to, and unless the model cannot", () => {
    assert.equal(accept({}).isThinking, true);
    assert.equal(accept({ thinking: { type: "disabled" } }).isThinking, false);
    assert.equal(accept({ model: "glm-4-flash-250414" }).isThinking, false);
    assert.deepEqual(refuse({ model: "glm-5.3", thinking: { type: "disabled" } }), ["1210", "thinking"]);
  });

  it("is steered by wishes in its last user message", () => {
    const { wishes } = accept({
      messages: [
        { role: "user", content: "[frames=1]" },
        { role: "user", content: [{ type: "text", text: "[frames=40] [reasoning=9] [delay=25] [first=100]" }] },
        { role: "assistant", content: "[frames=2]" },
      ],
    });
    assert.deepEqual(wishes, { frames: 40, reasoningFrames: 9, delayMs: 25, firstMs: 100 });
    assert.equal(accept({ messages: [{ role: "user", content: "[frames=999999]" }] }).wishes.frames, 100_000);
  });

  it("calls the tool that its prompt mentions", () => {
    const tools = ["get_time", "get_weather"].map((name) => ({ type: "function", function: { name } }));
    assert.equal(accept({ tools }).tool, null);
    assert.equal(accept({ tools, messages: [{ role: "user", content: "try get_weather" }] }).tool?.name, "get_weather");
  });
});
