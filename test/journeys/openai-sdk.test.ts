// The npm package `openai` as its users have it, pointed at the gateway: answers, streams, tools, errors, and above
// all what it does by itself, retries and time limits, in the gateway's hands.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import OpenAI, {
  APIConnectionTimeoutError,
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  RateLimitError,
} from "openai";
import type {
  ChatCompletionChunk,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionTool,
} from "openai/resources/chat/completions";
import { chat, startGateway, type TestGateway, until } from "../support/gateway.ts";

/** One HTTP exchange of the client, as it went over the wire. */
interface Attempt {
  readonly at: number;
  readonly status: number;
  readonly headers: Headers;
}

interface Client {
  readonly openai: OpenAI;
  readonly attempts: readonly Attempt[];
}

/** A client with its own defaults, two retries among them, whose attempts are written down. */
function createClient(gateway: TestGateway, apiKey: string, options: { path?: string; timeout?: number } = {}): Client {
  const { path = "/v1", timeout } = options;
  const attempts: Attempt[] = [];
  const openai = new OpenAI({
    baseURL: gateway.url + path,
    apiKey,
    ...(timeout !== undefined && { timeout }),
    async fetch(url, init) {
      const response = await fetch(url, init);
      attempts.push({ at: performance.now(), status: response.status, headers: response.headers });
      return response;
    },
  });
  return { openai, attempts };
}

/** What GLM takes beyond OpenAI's parameters goes through the client's types by force, as it does in its users' code. */
function whole(content: string, more: object = {}): ChatCompletionCreateParamsNonStreaming {
  return chat(content, more) as unknown as ChatCompletionCreateParamsNonStreaming;
}

function streamed(content: string, more: object = {}): ChatCompletionCreateParamsStreaming {
  return chat(content, { ...more, stream: true }) as unknown as ChatCompletionCreateParamsStreaming;
}

const weather: ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
  },
};

async function collect(stream: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletionChunk[]> {
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const contentOf = (chunks: readonly ChatCompletionChunk[]) =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");

async function catchError(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof APIError, String(error));
  return error;
}

async function checkAllIsFree({ app, simulator }: TestGateway): Promise<void> {
  await until("every ticket is back", () => app.snapshot().running === 0);
  await until("nobody waits", () => app.snapshot().waiting === 0);
  await until("the upstream sees no call", () => simulator.report().inFlight === 0);
}

describe("the openai client", () => {
  let gateway: TestGateway;
  let token: string;
  let openai: OpenAI;

  before(async () => {
    gateway = await startGateway();
    token = await gateway.logIn();
    openai = createClient(gateway, token).openai;
  });
  afterEach(async () => {
    await checkAllIsFree(gateway);
    gateway.simulator.reset();
    // A reload ends the blocks that a fault has brought about.
    gateway.app.apply(gateway.settings);
  });
  after(() => gateway.stop());

  for (const path of ["/v1", "/api/paas/v4"]) {
    describe(`at ${path}`, () => {
      before(() => {
        openai = createClient(gateway, token, { path }).openai;
      });

      it("gets a whole answer with its usage and the request's id", async () => {
        const answer = await openai.chat.completions.create(whole("hello"));
        assert.ok((answer.choices[0]?.message.content ?? "").length > 0);
        assert.equal(answer.choices[0]?.finish_reason, "stop");
        assert.equal(answer.usage?.completion_tokens, 8);
        assert.match(answer._request_id ?? "", /^[\w-]{8,}$/);
      });

      it("gets a stream that says the same as the whole answer", async () => {
        const answer = await openai.chat.completions.create(whole("the same"));
        const chunks = await collect(await openai.chat.completions.create(streamed("the same")));
        assert.equal(contentOf(chunks), answer.choices[0]?.message.content);
      });

      it("gets the usage in the last chunk", async () => {
        const stream = await openai.chat.completions.create(streamed("[frames=5]"));
        const chunks = await collect(stream);
        assert.deepEqual(
          chunks.filter(({ usage }) => usage).map((chunk) => chunks.indexOf(chunk)),
          [chunks.length - 1],
        );
        assert.equal(chunks.at(-1)?.usage?.completion_tokens, 5);
        assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, "stop");
      });
    });
  }

  it("reads content while the upstream still speaks, and the stream's end at once after its last chunk", async () => {
    const stream = await openai.chat.completions.create(streamed("[frames=20] [delay=10]"));
    let inFlightAtFirst = -1;
    let lastAt = 0;
    let pieces = 0;
    for await (const chunk of stream) {
      if (pieces === 0) inFlightAtFirst = gateway.simulator.report().inFlight;
      if (chunk.choices[0]?.delta.content) pieces++;
      lastAt = performance.now();
    }
    const lingeredMs = performance.now() - lastAt;
    assert.equal(inFlightAtFirst, 1);
    assert.equal(pieces, 20);
    assert.ok(lingeredMs < 200, `the end came ${lingeredMs.toFixed(0)} ms after the last chunk`);
  });

  it("reads Chinese whole, whatever bytes the upstream's writes are cut at", async () => {
    const expected = await openai.chat.completions.create(whole("你好"));
    gateway.simulator.script({ fault: "slice" });
    const chunks = await collect(await openai.chat.completions.create(streamed("你好")));
    assert.match(contentOf(chunks), /\p{Script=Han}/u);
    assert.equal(contentOf(chunks), expected.choices[0]?.message.content);
  });

  it("reads the reasoning that GLM adds to messages and chunks", async () => {
    const thinking = { thinking: { type: "enabled" } };
    const answer = await openai.chat.completions.create(whole("think", thinking));
    const message = answer.choices[0]?.message as { reasoning_content?: string };
    assert.ok((message.reasoning_content ?? "").length > 0);
    const chunks = await collect(await openai.chat.completions.create(streamed("think", thinking)));
    const reasoning = chunks.map(({ choices }) => choices[0]?.delta as { reasoning_content?: string } | undefined);
    assert.equal(reasoning.map((delta) => delta?.reasoning_content ?? "").join(""), message.reasoning_content);
  });

  describe("with tools", () => {
    it("gets a whole call with arguments that are JSON", async () => {
      const answer = await openai.chat.completions.create(whole("use get_weather", { tools: [weather] }));
      const call = answer.choices[0]?.message.tool_calls?.[0];
      assert.ok(call?.type === "function");
      assert.equal(answer.choices[0]?.finish_reason, "tool_calls");
      assert.equal(call.function.name, "get_weather");
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments) as object), ["city", "days"]);
    });

    it("gets the arguments of a stream in one chunk, or in pieces with tool_stream", async () => {
      const count = async (more: object) => {
        const body = streamed("use get_weather", { tools: [weather], ...more });
        const chunks = await collect(await openai.chat.completions.create(body));
        const pieces = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
        const text = pieces.map(({ function: called }) => called?.arguments ?? "").join("");
        assert.deepEqual(Object.keys(JSON.parse(text) as object), ["city", "days"]);
        return pieces.length;
      };
      assert.equal(await count({}), 1);
      assert.ok((await count({ tool_stream: true })) > 2);
    });

    it("brings a call and its result back as they came, and gets words", async () => {
      const question = whole("use get_weather", { tools: [weather] });
      const answer = await openai.chat.completions.create(question);
      const message = answer.choices[0]?.message;
      assert.ok(message?.tool_calls?.[0]);
      const result = { role: "tool" as const, tool_call_id: message.tool_calls[0].id, content: "sunny" };
      const messages = [...question.messages, message, result, { role: "user" as const, content: "so?" }];
      const last = await openai.chat.completions.create({ ...question, messages });
      assert.equal(last.choices[0]?.finish_reason, "stop");
      assert.ok(last.choices[0]?.message.content);
    });
  });

  describe("leaving a stream", () => {
    const ways: Record<string, (stream: { controller: AbortController }) => void> = {
      "by aborting it": ({ controller }) => controller.abort(),
      "by breaking out of the loop": () => {},
    };
    for (const [way, leave] of Object.entries(ways)) {
      it(`${way} ends the call upstream and frees its ticket`, async () => {
        const stream = await openai.chat.completions.create(streamed("[frames=1000] [delay=5]"));
        for await (const _ of stream) {
          leave(stream);
          break;
        }
        await until("the upstream saw it close", () => gateway.simulator.report().abortCount === 1);
        await until("its ticket is back", () => gateway.app.snapshot().running === 0);
        await until("it is recorded", () => gateway.callLines().at(-1)?.outcome === "cancelled");
      });
    }
  });

  describe("refused", () => {
    it("for a token that is none: AuthenticationError with invalid_token, not tried again", async () => {
      const { openai, attempts } = createClient(gateway, "sk-not-a-token");
      const error = await catchError(openai.chat.completions.create(whole("hello")));
      assert.ok(error instanceof AuthenticationError);
      assert.deepEqual([error.status, error.code, error.type], [401, "invalid_token", "authentication_error"]);
      assert.equal(attempts.length, 1);
      assert.equal(error.requestID, attempts[0]?.headers.get("x-request-id"));
    });

    it("by GLM for a parameter: BadRequestError with GLM's code and words", async () => {
      const { openai, attempts } = createClient(gateway, token);
      const error = await catchError(openai.chat.completions.create(whole("hello", { temperature: 5 })));
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.code, "1214");
      assert.match(error.message, /temperature/);
      assert.equal(attempts.length, 1);
    });

    it("by GLM for the gateway's own key: 502 and never 401, not tried again", async () => {
      for (const code of ["401", "1001", "1003"]) {
        const { openai, attempts } = createClient(gateway, token);
        gateway.simulator.script({ fault: "error", code });
        const error = await catchError(openai.chat.completions.create(whole("hello")));
        assert.ok(error instanceof InternalServerError);
        assert.deepEqual([error.status, error.code], [502, "upstream_account"]);
        assert.equal(attempts.length, 1);
        gateway.app.apply(gateway.settings);
      }
    });

    it("by GLM for its quota: RateLimitError, not tried again", async () => {
      const { openai, attempts } = createClient(gateway, token);
      gateway.simulator.script({ fault: "error", code: "1113" });
      const error = await catchError(openai.chat.completions.create(whole("hello")));
      assert.ok(error instanceof RateLimitError);
      assert.equal(error.code, "upstream_quota");
      assert.equal(attempts.length, 1);
    });
  });

  describe("when a stream fails in its middle", () => {
    const faults = ["cutMidStream", "cutMidFrame", "resetMidStream", "endEarly", "errorFrame"] as const;
    for (const fault of faults) {
      it(`throws from its iterator after what had come: ${fault}`, async () => {
        const { openai, attempts } = createClient(gateway, token);
        gateway.simulator.script({ fault, after: 3 });
        const stream = await openai.chat.completions.create(streamed("[frames=20]"));
        const chunks: ChatCompletionChunk[] = [];
        const error = await catchError(
          (async () => {
            for await (const chunk of stream) chunks.push(chunk);
          })(),
        );
        assert.equal(chunks.length, 3);
        assert.match(String(error.code), /^upstream_/);
        assert.ok(error.message.length > 0);
        assert.equal(attempts.length, 1);
        await until("it is recorded", () => gateway.callLines().at(-1)?.outcome === "cut");
      });
    }

    it("tells GLM's content filter apart from a failure", async () => {
      gateway.simulator.script({ fault: "errorFrame", after: 3, code: "1301" });
      const error = await catchError(openai.chat.completions.create(streamed("[frames=20]")).then(collect));
      assert.equal(error.code, "1301");
    });
  });
});

describe("the openai client in the queue", () => {
  let gateway: TestGateway;
  let token: string;
  const limits = { concurrencyMax: 1, startsPerSecond: 2, abortLingerMs: 20 };

  afterEach(async () => {
    try {
      await checkAllIsFree(gateway);
    } finally {
      await gateway.stop();
    }
  });

  async function start(more: object): Promise<void> {
    gateway = await startGateway({ rateLimit: { ...limits, ...more } });
    token = await gateway.logIn();
  }

  /** Occupies the one place until told to leave. */
  async function occupy(): Promise<{ ended: Promise<unknown>; leave: () => void }> {
    const controller = new AbortController();
    const { openai } = createClient(gateway, token);
    const ended = openai.chat.completions
      .create(whole("[first=60000]"), { signal: controller.signal, maxRetries: 0 })
      .catch((error: unknown) => error);
    await until("the place is taken", () => gateway.simulator.report().inFlight === 1);
    return { ended, leave: () => controller.abort() };
  }

  it("does not try a call again that waited too long: 408 comes once, with when to come back", async () => {
    await start({ queueTimeoutMs: 250 });
    const first = await occupy();
    const { openai, attempts } = createClient(gateway, token);
    const error = await catchError(openai.chat.completions.create(whole("waits")));
    assert.deepEqual([error.status, error.code, error.type], [408, "queue_timeout", "timeout_error"]);
    assert.equal(error.headers?.get("x-should-retry"), "false");
    assert.ok(Number(error.headers?.get("retry-after-ms")) > 0);
    assert.equal(attempts.length, 1);
    assert.equal(gateway.callLines().filter(({ reason }) => reason === "queue_timeout").length, 1);
    assert.equal(gateway.simulator.report().callCount, 1);
    first.leave();
    await first.ended;
  });

  it("tries a call again that found the queue full, after the time it was told, and is served", async () => {
    await start({ queueCapacity: 0 });
    const first = await occupy();
    const { openai, attempts } = createClient(gateway, token);
    const call = openai.chat.completions.create(whole("comes back"));
    await until("it is refused", () => attempts.length === 1);
    first.leave();
    const answer = await call;
    assert.ok(answer.choices[0]?.message.content);
    await first.ended;

    const [refused, served] = attempts as [Attempt, Attempt];
    assert.deepEqual(
      attempts.map(({ status }) => status),
      [429, 200],
    );
    assert.equal(refused.headers.get("x-should-retry"), "true");
    const advisedMs = Number(refused.headers.get("retry-after-ms"));
    const waitedMs = served.at - refused.at;
    assert.ok(advisedMs >= 1_000 && advisedMs <= 1_200, `advised ${advisedMs} ms`);
    assert.ok(waitedMs >= advisedMs - 2 && waitedMs < advisedMs + 400, `${waitedMs} ms, advised ${advisedMs} ms`);
    assert.deepEqual(
      gateway.callLines().map(({ outcome, reason }) => [outcome, reason]),
      [
        ["refused", "queue_full"],
        ["cancelled", "client_gone"],
        ["served", undefined],
      ],
    );
  });

  it("is told to come back when a place may be free, however many starts a second there may be", async () => {
    await start({ queueCapacity: 0, startsPerSecond: 1_000 });
    const { openai, attempts } = createClient(gateway, token);
    await openai.chat.completions.create(whole("[first=300]"));
    const other = openai.chat.completions.create(whole("[first=300]"));
    await until("the place is taken", () => gateway.simulator.report().inFlight === 1);
    const answer = await openai.chat.completions.create(whole("comes back")).catch((error: unknown) => error);
    await other;
    const advised = attempts.flatMap(({ status, headers }) => (status === 429 ? [headers.get("retry-after-ms")] : []));
    assert.ok(!(answer instanceof Error), `${String(answer)}, after waits of ${advised.join(" and ")} ms`);
  });

  it("with a request's own timeout: the call gives up its place in the queue no later than that", async () => {
    await start({ queueTimeoutMs: 5_000 });
    const first = await occupy();
    const startedAt = performance.now();
    const { openai, attempts } = createClient(gateway, token);
    // The client tells whole seconds, `x-stainless-timeout: 1` here.
    const error = await catchError(openai.chat.completions.create(whole("is in a hurry"), { timeout: 1_900 }));
    const waitedMs = performance.now() - startedAt;
    assert.deepEqual([error.status, error.code], [408, "queue_timeout"]);
    assert.ok(waitedMs >= 990 && waitedMs < 1_600, `gave up after ${waitedMs.toFixed(0)} ms`);
    assert.equal(attempts.length, 1);
    assert.equal(gateway.app.snapshot().waiting, 0);
    first.leave();
    await first.ended;
  });

  it("with a timeout for all requests, which it keeps to itself: the call leaves the queue with it", async () => {
    await start({ queueTimeoutMs: 5_000 });
    const first = await occupy();
    const { openai } = createClient(gateway, token, { timeout: 200 });
    const error = await catchError(openai.chat.completions.create(whole("is in a hurry"), { maxRetries: 0 }));
    assert.ok(error instanceof APIConnectionTimeoutError);
    await until("it is gone", () => gateway.app.snapshot().waiting === 0);
    await until("it is recorded", () => gateway.callLines().at(-1)?.outcome === "cancelled");
    assert.equal(gateway.simulator.report().callCount, 1);
    first.leave();
    await first.ended;
  });

  it("that is aborted while it waits leaves the queue and never reaches the upstream", async () => {
    await start({ queueTimeoutMs: 5_000 });
    const first = await occupy();
    const { openai } = createClient(gateway, token);
    const controller = new AbortController();
    const call = openai.chat.completions.create(whole("leaves"), { signal: controller.signal });
    await until("it waits", () => gateway.app.snapshot().waiting === 1);
    controller.abort();
    await catchError(call);
    await until("it is gone", () => gateway.app.snapshot().waiting === 0);
    assert.equal(gateway.simulator.report().callCount, 1);
    first.leave();
    await first.ended;
  });
});
