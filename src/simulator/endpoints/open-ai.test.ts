// The simulator as a server of one's own models that speaks OpenAI's dialect, over real sockets.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { chat, type Sent, send, toEvents } from "../fixtures/client.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "../simulator.ts";

let simulator: Simulator;
type Json = Readonly<Record<string, unknown>>;

interface ToolPiece {
  readonly id?: string;
  readonly function: { readonly name?: string };
}

interface Frame {
  readonly object: string;
  readonly choices: readonly {
    readonly delta: { readonly role?: string; readonly content?: string; readonly tool_calls?: readonly ToolPiece[] };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Json;
}

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ flavour: "openai", firstTokenMs: 0, tokenMs: 0, ...options });
}

afterEach(() => simulator.close());

const ask = (content = "hello", more: object = {}, token?: string): Promise<Sent> =>
  send(`${simulator.baseUrl}/chat/completions`, {
    body: chat(content, { model: "qwen3", ...more }),
    ...(token && { token }),
  });
const errorOf = ({ json }: Sent) => (json as { error: Json }).error;
const framesOf = ({ text }: Sent) =>
  toEvents(text)
    .slice(0, -1)
    .map(({ data }) => JSON.parse(data) as Frame);
const usageKeys = ["prompt_tokens", "total_tokens", "completion_tokens", "prompt_tokens_details"];

describe("a server of one's own models", () => {
  it("answers at /v1 without a key, or with any", async () => {
    await start();
    assert.equal(simulator.baseUrl, `${simulator.origin}/v1`);
    const whole = (await ask("hello")).json as { id: string; model: string; usage: Json };
    assert.match(whole.id, /^chatcmpl-[0-9a-f]{32}$/);
    assert.equal(whole.model, "qwen3");
    assert.deepEqual(Object.keys(whole.usage), usageKeys);
    assert.equal((await ask("hello", {}, "anything")).status, 200);
  });

  it("wants its key when it has one", async () => {
    await start({ apiKeys: ["local.secret"] });
    assert.equal((await ask("hello", {}, "local.secret")).status, 200);
    const sent = await ask("hello");
    assert.equal(sent.status, 401);
    assert.equal(errorOf(sent).type, "AuthenticationError");
  });

  it("streams without usage, or with a frame for it at the end", async () => {
    await start();
    const plain = await ask("[frames=3]", { stream: true });
    assert.ok(plain.text.endsWith("data: [DONE]\n\n"));
    const frames = framesOf(plain);
    assert.ok(frames.every(({ usage, object }) => usage === undefined && object === "chat.completion.chunk"));
    assert.deepEqual(frames[0]?.choices[0]?.delta, { role: "assistant", content: "" });
    assert.equal(frames.at(-1)?.choices[0]?.finish_reason, "stop");
    const counted = framesOf(await ask("[frames=3]", { stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual([counted.length, counted.at(-1)?.choices], [frames.length + 1, []]);
    assert.equal(counted.at(-1)?.usage?.completion_tokens, 3);
  });

  it("calls tools in pieces, of which the first alone has the name", async () => {
    await start();
    const tools = [{ type: "function", function: { name: "get_weather", parameters: {} } }];
    const frames = framesOf(await ask("use get_weather", { stream: true, tools }));
    const calls = frames.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    assert.equal(calls[0]?.function.name, "get_weather");
    assert.ok(calls.slice(1).every(({ id }) => id === undefined));
    assert.equal(frames.at(-1)?.choices[0]?.finish_reason, "tool_calls");
  });

  it("thinks when the prompt wishes for it", async () => {
    await start();
    const { choices } = (await ask("[reasoning=2]")).json as { choices: [{ message: Json }] };
    assert.ok(choices[0].message.reasoning_content);
  });

  it("has the models that it was given, or one", async () => {
    await start({ models: ["qwen3", "bge-m3"] });
    const { data } = (await send(`${simulator.baseUrl}/models`)).json as { data: Json[] };
    assert.deepEqual(
      data.map(({ id }) => id),
      ["qwen3", "bge-m3"],
    );
    const unknown = await ask("hello", { model: "other" });
    assert.deepEqual([unknown.status, errorOf(unknown).type], [404, "NotFoundError"]);
    const embed = (model: string) => send(`${simulator.baseUrl}/embeddings`, { body: { model, input: "a" } });
    assert.deepEqual([(await embed("bge-m3")).status, (await embed("other")).status], [200, 404]);
  });

  it("says what is wrong by the status, without GLM's codes", async () => {
    await start({ requestsPerSecond: 2 });
    const wrong = await ask("hello", { messages: undefined });
    assert.deepEqual([wrong.status, errorOf(wrong).code], [400, 400]);
    simulator.script({ fault: "error", code: "1305" });
    const busy = await ask();
    assert.deepEqual([busy.status, errorOf(busy).type], [503, "ServiceUnavailableError"]);
    const tooMany = await ask();
    assert.deepEqual([tooMany.status, errorOf(tooMany).type], [429, "RateLimitError"]);
    assert.deepEqual(Object.keys(errorOf(tooMany)), ["message", "type", "param", "code"]);
    assert.doesNotMatch(tooMany.text, /130\d/);
    assert.deepEqual(simulator.report().answers, { "400": 1, "503": 1, "429": 1 });
  });

  it("has nothing else of GLM's", async () => {
    await start();
    for (const path of ["/api/paas/v4/chat/completions", "/api/anthropic/v1/messages", "/v1/messages", "/v1/files"]) {
      assert.equal((await send(simulator.origin + path, { body: chat() })).status, 404, path);
    }
  });

  it("has streams that break as GLM's do", async () => {
    await start();
    simulator.script({ fault: "errorFrame", after: 1, code: "500" }, { fault: "noDone" }, { fault: "usage", raw: 1 });
    const broken = toEvents((await ask("hello", { stream: true })).text);
    assert.equal((JSON.parse(broken[1]?.data ?? "") as { error: Json }).error.code, 500);
    assert.ok(!(await ask("hello", { stream: true })).text.includes("[DONE]"));
    const counted = framesOf(await ask("hello", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(counted.at(-1)?.usage, 1);
  });
});
