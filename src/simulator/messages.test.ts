// Anthropic's Messages at the simulated GLM, over real sockets.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { ScriptedFault } from "./faults.ts";
import { type SeenEvent, type SendOptions, type Sent, send, toEvents } from "./fixtures/client.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "./simulator.ts";

let simulator: Simulator;

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 0, ...options });
}

afterEach(() => simulator.close());

type Json = Readonly<Record<string, unknown>>;
const tools = [
  { name: "get_weather", description: "", input_schema: { type: "object", properties: { city: { type: "string" } } } },
  { type: "web_search_20250305", name: "web_search" },
];

function ask(content: unknown = "hello", more: object = {}, options: SendOptions = {}): Promise<Sent> {
  const body = { model: "glm-4.5-flash", max_tokens: 1_000, messages: [{ role: "user", content }], ...more };
  const headers = { "x-api-key": "sim.secret" };
  return send(`${simulator.anthropicBaseUrl}/v1/messages?beta=true`, { body, headers, ...options });
}

async function stream(content?: unknown, more: object = {}): Promise<{ name: string | null; json: Json }[]> {
  const sent = await ask(content, { stream: true, ...more });
  assert.equal(sent.headers["content-type"], "text/event-stream;charset=UTF-8");
  return toEvents(sent.text).map(({ name, data }: SeenEvent) => ({ name, json: JSON.parse(data) as Json }));
}

const errorOf = ({ json }: Sent) => (json as { error: { type: string; code: string; message: string } }).error;
const contentOf = ({ json }: Sent) => (json as { content: Json[] }).content;

describe("a message of the simulated GLM", () => {
  it("has blocks of text, the reason of its end and usage in which what was cached does not count as input", async () => {
    await start();
    const { status, json } = await ask("[frames=3] hello");
    const { id, usage, content, ...rest } = json as { id: string; usage: Json; content: Json[] };
    assert.equal(status, 200);
    assert.match(id, /^msg_\d{14}[0-9a-f]{16}$/);
    assert.deepEqual(rest, {
      type: "message",
      role: "assistant",
      model: "glm-4.5-flash",
      stop_reason: "end_turn",
      stop_sequence: null,
    });
    assert.deepEqual(
      content.map(({ type }) => type),
      ["text"],
    );
    assert.deepEqual(Object.keys(usage), ["input_tokens", "cache_read_input_tokens", "output_tokens"]);
    assert.equal(usage.output_tokens, 3);
  });

  it("says the same whole and as a stream, whose events are named by their type", async () => {
    await start();
    const whole = await ask("[frames=5] hello");
    const events = await stream("[frames=5] hello");
    assert.ok(events.every(({ name, json }) => name === json.type));
    assert.deepEqual(
      events.map(({ name }) => name),
      [
        "message_start",
        "ping",
        "content_block_start",
        ...Array.from({ length: 5 }, () => "content_block_delta"),
        "content_block_stop",
        "message_delta",
        "message_stop",
      ],
    );
    const text = events.map(({ json }) => (json.delta as Json | undefined)?.text ?? "").join("");
    assert.equal(text, contentOf(whole)[0]?.text);
    const opening = events[0]?.json.message as Json;
    assert.deepEqual(opening.usage, { input_tokens: 0, output_tokens: 0 });
    const end = events.at(-2)?.json;
    assert.deepEqual(end?.usage, (whole.json as Json).usage);
    assert.deepEqual(end?.delta, { stop_reason: "end_turn", stop_sequence: null });
  });

  it("has thoughts in a block of their own when they are asked for, or the model must think", async () => {
    await start();
    const thinking = { type: "enabled", budget_tokens: 1_024 };
    assert.deepEqual(
      contentOf(await ask("[reasoning=2]", { thinking })).map(({ type }) => type),
      ["thinking", "text"],
    );
    assert.deepEqual(
      contentOf(await ask("hi", { model: "glm-5.3" })).map(({ type }) => type),
      ["thinking", "text"],
    );
    const events = await stream("[reasoning=2] [frames=1]", { thinking });
    const deltas = events.flatMap(({ json }) => (json.index === undefined ? [] : [[json.type, json.index]]));
    assert.deepEqual(deltas, [
      ["content_block_start", 0],
      ["content_block_delta", 0],
      ["content_block_delta", 0],
      ["content_block_stop", 0],
      ["content_block_start", 1],
      ["content_block_delta", 1],
      ["content_block_stop", 1],
    ]);
    const [, , , first] = events;
    assert.equal((first?.json.delta as Json | undefined)?.type, "thinking_delta");
  });

  it("calls a tool that the prompt names, with its input in pieces of JSON, and talks when the result has come", async () => {
    await start();
    const whole = await ask("use get_weather", { tools });
    assert.equal((whole.json as Json).stop_reason, "tool_use");
    const [call] = contentOf(whole);
    assert.equal(call?.name, "get_weather");
    const events = await stream("use get_weather", { tools });
    const pieces = events.map(({ json }) => (json.delta as Json | undefined)?.partial_json ?? "").join("");
    assert.deepEqual(JSON.parse(pieces), call?.input);
    const messages = [
      { role: "user", content: "use get_weather" },
      { role: "assistant", content: [call] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: call?.id, content: "sunny" }] },
    ];
    const last = await ask("", { messages, tools });
    assert.deepEqual([(last.json as Json).stop_reason, contentOf(last)[0]?.type], ["end_turn", "text"]);
  });

  it("is of the model that Claude's names stand for", async () => {
    await start();
    const modelOf = async (model: string) => ((await ask("hi", { model })).json as Json).model;
    assert.equal(await modelOf("claude-opus-4-8"), "glm-4.7");
    assert.equal(await modelOf("claude-3-5-haiku-20241022"), "glm-4.5-air");
    assert.equal(await modelOf("glm-5.3"), "glm-5.3");
  });

  it("is cut by max_tokens", async () => {
    await start();
    assert.equal(((await ask("hi", { max_tokens: 2 })).json as Json).stop_reason, "max_tokens");
  });

  it("comes at the pace of a prompt, in which only what says something takes time", async () => {
    await start();
    const { durationMs } = await ask("[frames=4] [delay=50] [first=20]", { stream: true });
    assert.ok(durationMs >= 20 + 5 * 50, `${durationMs} ms`);
    assert.ok(durationMs < 20 + 9 * 50, `${durationMs} ms`);
  });
});

describe("who asks for messages", () => {
  it("may name the key in either header, and is refused as an error of Anthropic otherwise", async () => {
    await start();
    assert.equal((await ask("hi", {}, { headers: { authorization: "Bearer sim.secret" } })).status, 200);
    assert.equal((await ask()).status, 200);
    const sent = await ask("hi", {}, { headers: { "x-api-key": "sim.wrong" } });
    assert.equal(sent.status, 401);
    assert.equal(errorOf(sent).type, "authentication_error");
    assert.match(errorOf(sent).message, /^\[401\]\[token expired or incorrect\]\[\d{14}[0-9a-f]{16}\]$/);
    const elsewhere = await send(`${simulator.baseUrl}/models`, { headers: { "x-api-key": "sim.secret" } });
    assert.equal(elsewhere.status, 401, "the header counts here alone");
  });

  it("is told what is wrong with a call by GLM's codes", async () => {
    await start();
    const cases: [more: object, code: string][] = [
      [{ messages: undefined }, "1213"],
      [{ messages: [] }, "1214"],
      [{ messages: [{ role: "user", content: ["text"] }] }, "1214"],
      [{ messages: ["text"] }, "1214"],
      [{ model: "gpt" }, "1211"],
      [{ max_tokens: 0 }, "1214"],
      [{ temperature: 2 }, "1214"],
      [{ messages: [{ role: "user", content: [{ type: "image", source: {} }] }] }, "1214"],
    ];
    for (const [more, code] of cases) {
      const sent = await ask("hi", more);
      assert.deepEqual([sent.status, errorOf(sent).code, errorOf(sent).type], [400, code, "invalid_request_error"]);
    }
    const seeing = { model: "glm-4.6v", messages: [{ role: "user", content: [{ type: "image", source: {} }] }] };
    assert.equal((await ask("hi", seeing)).status, 200);
  });

  it("shares the limits of chat completions", async () => {
    await start({ requestsPerSecond: 1, rateCode: "1302" });
    assert.equal((await ask()).status, 200);
    const sent = await ask();
    assert.deepEqual([sent.status, errorOf(sent).type, errorOf(sent).code], [429, "rate_limit_error", "1302"]);
  });
});

describe("a fault of a message", () => {
  const strike = (fault: ScriptedFault, more: object = {}, options: SendOptions = {}) => {
    simulator.script(fault);
    return ask("[frames=4] hello", more, options);
  };
  const namesOf = ({ text }: Sent) => toEvents(text).map(({ name }) => name);

  it("that is overload comes as 529, unless another status was scripted", async () => {
    await start();
    const overloaded = await strike({ fault: "error", code: "1305" });
    assert.deepEqual([overloaded.status, errorOf(overloaded).type], [529, "overloaded_error"]);
    assert.equal((await strike({ fault: "error", code: "1305", status: 429 })).status, 429);
    assert.deepEqual(simulator.report().answers, { "529 1305": 1, "429 1305": 1 });
  });

  it("that is a used-up quota is told to Claude Code by headers as well", async () => {
    await start();
    const headers = { "x-api-key": "sim.secret", "anthropic-beta": "claude-code-20250219,interleaved-thinking" };
    const told = await strike({ fault: "error", code: "1308" }, {}, { headers });
    assert.equal(told.headers["anthropic-ratelimit-unified-status"], "rejected");
    assert.equal(told.headers["retry-after"], "3600");
    const others = await strike({ fault: "error", code: "1308" });
    assert.equal(others.headers["retry-after"], undefined);
  });

  it("within a stream is an event of its own, after which nothing comes", async () => {
    await start();
    const sent = await strike({ fault: "errorFrame", after: 4, code: "1305" }, { stream: true });
    assert.deepEqual(namesOf(sent).slice(3), ["content_block_delta", "error"]);
    assert.match(sent.text, /"type":"overloaded_error","code":"1305","message":"\[1305\]\[/);
  });

  const streamFaults: [fault: ScriptedFault, check: (sent: Sent) => void][] = [
    [{ fault: "noDone" }, (sent) => assert.equal(namesOf(sent).at(-1), "message_delta")],
    [{ fault: "doubleDone" }, (sent) => assert.deepEqual(namesOf(sent).slice(-2), ["message_stop", "message_stop"])],
    [{ fault: "afterDone" }, (sent) => assert.deepEqual(namesOf(sent).slice(-2), ["message_stop", "late"])],
    [{ fault: "endEarly", after: 4 }, (sent) => assert.equal(namesOf(sent).length, 4)],
    [{ fault: "finish", reason: "refusal" }, (sent) => assert.match(sent.text, /"stop_reason":"refusal"/)],
    [{ fault: "otherModel" }, (sent) => assert.match(sent.text, /"model":"glm-5.3"/)],
    [{ fault: "usage", raw: "many" }, (sent) => assert.match(sent.text, /message_delta.*"usage":"many"/s)],
    [{ fault: "malformedFrame" }, (sent) => assert.throws(() => JSON.parse(toEvents(sent.text)[1]?.data ?? ""))],
    [{ fault: "emptyFrame" }, (sent) => assert.match(sent.text, /"delta":null/)],
    [{ fault: "hugeLine", bytes: 1_000 }, (sent) => assert.match(sent.text, /"type":"ping","x":"x{1000}"/)],
    [{ fault: "manyFrames", bytes: 50 }, (sent) => assert.equal(namesOf(sent).filter((n) => n === "ping").length, 51)],
    [{ fault: "hugeAnswer", bytes: 50_000 }, (sent) => assert.ok(sent.text.length > 50_000)],
    [{ fault: "comments" }, (sent) => assert.match(sent.text, /^: keep-alive\n\n/)],
    [{ fault: "crlf" }, (sent) => assert.doesNotMatch(sent.text, /[^\r]\n/)],
  ];
  for (const [fault, check] of streamFaults) {
    it(`can be ${fault.fault}`, async () => {
      await start();
      check(await strike(fault, { stream: true }));
    });
  }

  it("can be that it says nothing and counts nothing", async () => {
    await start();
    const streamed = await strike({ fault: "emptyAnswer" }, { stream: true });
    assert.deepEqual(namesOf(streamed), ["message_start", "message_delta", "message_stop"]);
    const nothing = { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
    assert.deepEqual((JSON.parse(toEvents(streamed.text)[1]?.data ?? "") as Json).usage, nothing);
    const { content, usage, stop_reason } = (await strike({ fault: "emptyAnswer" })).json as Json;
    assert.deepEqual([content, usage, stop_reason], [[], nothing, "end_turn"]);
  });

  it("leaves the text that was made longer in its block", async () => {
    await start();
    const sent = await strike({ fault: "hugeAnswer", bytes: 50_000 }, { stream: true, model: "glm-5.3" });
    const long = toEvents(sent.text).map(({ data }) => JSON.parse(data) as Json);
    const grown = long.filter(({ delta }) => String((delta as Json | undefined)?.text).length > 10_000);
    assert.ok(grown.length > 2 && grown.every(({ index }) => index === 1));
    const whole = await strike({ fault: "hugeAnswer", bytes: 50_000 });
    assert.ok(String(contentOf(whole)[0]?.text).length > 50_000);
  });
});

describe("the tokens of a message", () => {
  const count = (body: object) =>
    send(`${simulator.anthropicBaseUrl}/v1/messages/count_tokens`, { token: "sim.secret", body });
  const body = { model: "claude-sonnet-5", messages: [{ role: "user", content: "hello" }] };

  it("are counted, more of them for tools and a system prompt", async () => {
    await start();
    const few = (await count(body)).json as { input_tokens: number };
    const more = (await count({ ...body, system: "be brief", tools })).json as { input_tokens: number };
    assert.ok(few.input_tokens > 0 && more.input_tokens > few.input_tokens);
    assert.equal(errorOf(await count({ model: "glm-4.7" })).code, "1213");
    assert.equal(errorOf(await count({ messages: [] })).code, "1213");
  });

  it("are not when it is told not to", async () => {
    await start({ countsTokens: false });
    const sent = await count(body);
    assert.deepEqual([sent.status, errorOf(sent).type], [404, "not_found_error"]);
  });
});
