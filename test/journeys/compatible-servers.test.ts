// What servers that are compatible with OpenAI do differently from GLM: the shapes of their errors, streams that break off in
// order, accounts without money. Through all three dialects, over real sockets.

import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const completion = {
  choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 1 },
};

interface Double {
  readonly baseUrl: string;
  readonly server: Server;
  count: number;
  answer: RequestListener;
}

async function startDouble(answer: RequestListener): Promise<Double> {
  const server = createServer((request, response) => {
    double.count++;
    request.resume().once("end", () => double.answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const double: Double = { baseUrl: `http://127.0.0.1:${port}/v1`, server, count: 0, answer };
  return double;
}

function stop({ server }: Double): void {
  server.close();
  server.closeAllConnections();
}

const say =
  (status: number, body: string | object, contentType = "application/json"): RequestListener =>
  (_request, response) =>
    void response
      .writeHead(status, { "content-type": contentType })
      .end(typeof body === "string" ? body : JSON.stringify(body));

const upstreamOf = (name: string, { baseUrl }: Double) =>
  ({ name, kind: "openai", apiKey: null, baseUrl, anthropicBaseUrl: null }) as const;
const noLimits = { startsPerSecond: 1_000, concurrencyMax: null, tokensPerMinute: null, models: null } as const;

const dialects = {
  chat: { path: "/v1/chat/completions", body: chat("hi", { model: "m1" }) },
  messages: { path: "/v1/messages", body: { ...chat("hi", { model: "m1" }), max_tokens: 50 } },
  responses: { path: "/v1/responses", body: { model: "m1", input: "hi" } },
} as const;
type Dialect = keyof typeof dialects;

describe("a server that is compatible with OpenAI", () => {
  let double: Double;
  let gateway: TestGateway;
  let token: string;
  before(async () => {
    double = await startDouble(say(200, completion));
    gateway = await startGateway({
      glm: { upstreams: [upstreamOf("default", double)] },
      rateLimit: { tokensPerMinute: 60_000, queueTimeoutMs: 2_000 },
    });
    token = await gateway.logIn();
  });
  after(async () => {
    await gateway.stop();
    stop(double);
  });

  const ask = (dialect: Dialect, more: object = {}): Promise<Sent> =>
    send(gateway.url + dialects[dialect].path, { token, body: { ...dialects[dialect].body, ...more } });
  const messageOf = ({ json }: Sent) => (json as { error: { message: string } }).error.message;

  const failures: readonly [object, words: string][] = [
    [
      { object: "error", message: "maximum context length is 8192 tokens", type: "BadRequestError", code: 400 },
      "maximum context length is 8192 tokens",
    ],
    [{ message: "context too long", code: 400 }, "context too long"],
    [{ detail: "model not loaded" }, "model not loaded"],
    [{ detail: [{ loc: ["body", "messages"], msg: "field required" }] }, "field required"],
    [{ error: "llama runner has terminated" }, "llama runner has terminated"],
  ];
  for (const dialect of Object.keys(dialects) as Dialect[]) {
    it(`has its words of a refusal passed on to ${dialect}, but no HTML`, async () => {
      for (const [body, words] of failures) {
        double.answer = say(400, body);
        const refused = await ask(dialect);
        assert.equal(refused.status, 400, words);
        assert.ok(messageOf(refused).includes(words), messageOf(refused));
      }
      double.answer = say(400, "<html><b>Bad Request</b></html>", "text/html");
      const refused = await ask(dialect);
      assert.equal(refused.status, 400);
      assert.ok(!refused.text.includes("<html>"));
    });

    it(`that breaks a stream off in order is seen as broken by ${dialect}`, async () => {
      const chunk = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n';
      const failure = 'data: {"object":"error","message":"CUDA oom","type":"InternalServerError","code":500}\n\n';
      const end = { chat: "data: [DONE]", messages: "event: message_stop", responses: "event: response.completed" }[
        dialect
      ];
      const mark = { chat: 'data: {"error"', messages: "event: error", responses: "event: response.failed" }[dialect];
      for (const text of [`${chunk}${failure}data: [DONE]\n\n`, `${chunk}data: [DONE]\n\n`, chunk]) {
        double.answer = say(200, text, "text/event-stream");
        const before = gateway.callLines().length;
        const broken = await ask(dialect, { stream: true });
        assert.ok(broken.text.includes(mark), broken.text);
        assert.ok(!broken.text.includes(end), broken.text);
        await until("it has a record", () => gateway.callLines().length > before);
        assert.equal(gateway.callLines().at(-1)?.outcome, "cut");
      }
      // Nothing but its end: then there is no answer that has begun.
      double.answer = say(200, "data: [DONE]\n\n", "text/event-stream");
      const empty = await ask(dialect, { stream: true });
      assert.ok(empty.text.includes("upstream_truncated") || empty.text.includes(mark), empty.text);
    });
  }

  it("that refuses a large request keeps no tokens for it", async () => {
    double.answer = say(400, { error: { message: "bad", code: "1210" } });
    const refused = await ask("chat", {
      messages: [{ role: "user", content: "x".repeat(180_000) }],
      max_tokens: 4_000,
    });
    assert.equal(refused.status, 400);
    double.answer = say(200, completion);
    const next = await ask("chat", { max_tokens: 10 });
    assert.equal(next.status, 200);
    assert.ok(Number(next.headers["x-queue-wait-ms"]) < 1_000, String(next.headers["x-queue-wait-ms"]));
  });
});

describe("an account without money", () => {
  const broke = say(402, {
    error: { message: "Insufficient Balance", type: "unknown_error", code: "invalid_request_error" },
  });

  it("rests, and another one serves", async (context) => {
    const [poor, rich] = [await startDouble(broke), await startDouble(say(200, completion))];
    context.after(() => [poor, rich].forEach(stop));
    const keys = [
      { ...noLimits, name: "poor", weight: 10 },
      { ...noLimits, name: "rich", weight: 1 },
    ];
    const upstreams = [upstreamOf("poor", poor), upstreamOf("rich", rich)];
    const gateway = await startGateway({ glm: { upstreams }, rateLimit: { keys } });
    context.after(() => gateway.stop());
    const token = await gateway.logIn();
    // Which key a call goes to is drawn by weight: the poor one is asked soon, and not again.
    for (let count = 0; count < 50; count++) {
      const { status } = await send(`${gateway.url}/v1/chat/completions`, { token, body: chat("hi", { model: "m1" }) });
      assert.equal(status, 200);
    }
    assert.deepEqual([poor.count, rich.count], [1, 50]);
  });

  it("alone is told as such, after one request, for good", async (context) => {
    const poor = await startDouble(broke);
    context.after(() => stop(poor));
    const gateway = await startGateway({ glm: { upstreams: [upstreamOf("default", poor)] } });
    context.after(() => gateway.stop());
    const token = await gateway.logIn();
    const refused = await send(`${gateway.url}/v1/chat/completions`, { token, body: chat("hi", { model: "m1" }) });
    const { code } = (refused.json as { error: { code: string } }).error;
    assert.deepEqual([refused.status, code, refused.headers["x-should-retry"]], [429, "upstream_quota", "false"]);
    assert.equal(poor.count, 1);
  });
});
