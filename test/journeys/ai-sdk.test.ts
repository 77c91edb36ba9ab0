// Vercel's `ai` with its provider for whatever is compatible with OpenAI, pointed at the gateway.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, jsonSchema, RetryError, stepCountIs, streamText, tool } from "ai";
import { startGateway, type TestGateway, until, withLimits } from "../support/gateway.ts";

let gateway: TestGateway;
let token: string;

before(async () => {
  gateway = await startGateway();
  token = await gateway.logIn();
});

afterEach(async () => {
  await until("every ticket is back", () => gateway.app.snapshot().running === 0);
  await until("the upstream sees no call", () => gateway.simulator.report().inFlight === 0);
  gateway.simulator.reset();
});

after(() => gateway.stop());

function openModel(apiKey = token, modelId = "glm-4.5-flash") {
  return createOpenAICompatible({ name: "glm", baseURL: `${gateway.url}/v1`, apiKey }).chatModel(modelId);
}

/** Options of GLM's own, which the provider puts into the body. */
const plain = { providerOptions: { glm: { thinking: { type: "disabled" } } } };

const weather = tool({
  description: "Tells the weather",
  inputSchema: jsonSchema<{ city: string }>({
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
  }),
  execute: ({ city }) => Promise.resolve(`sunny in ${city}`),
});

async function catchError(promise: PromiseLike<unknown>): Promise<APICallError> {
  const error = await Promise.resolve(promise).then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => (RetryError.isInstance(reason) ? reason.lastError : reason),
  );
  assert.ok(APICallError.isInstance(error), String(error));
  return error;
}

const codeOf = ({ responseBody = "{}" }: APICallError) =>
  (JSON.parse(responseBody) as { error: { code: string } }).error.code;

describe("generateText of the AI SDK", () => {
  it("gets text, usage and the reason of its end", async () => {
    const { text, usage, finishReason } = await generateText({ model: openModel(), prompt: "hello", ...plain });
    assert.ok(text.length > 0);
    assert.equal(usage.outputTokens, 8);
    assert.equal(finishReason, "stop");
  });

  it("gets the reasoning apart from the text", async () => {
    const { text, reasoningText } = await generateText({ model: openModel(), prompt: "hello" });
    assert.ok(text.length > 0);
    assert.ok((reasoningText ?? "").length > 0);
  });

  it("runs a tool with arguments that fit its schema, and brings the result back", async () => {
    const { steps } = await generateText({
      model: openModel(),
      prompt: "use get_weather",
      tools: { get_weather: weather },
      stopWhen: stepCountIs(2),
      ...plain,
    });
    assert.equal(steps.length, 2);
    assert.match(String(steps[0]?.toolResults[0]?.output), /^sunny in ./);
    assert.equal(gateway.simulator.report().callCount, 2);
    assert.match(gateway.simulator.report().arrivals[1]?.body ?? "", /sunny in /);
  });

  it("fails for a token that is none, without trying again", async () => {
    const error = await catchError(generateText({ model: openModel("sk-not-a-token"), prompt: "hello", ...plain }));
    assert.deepEqual([error.statusCode, codeOf(error), error.isRetryable], [401, "invalid_token", false]);
    assert.match(error.message, /Log in at \/auth\/login/);
  });

  it("fails with GLM's code and words for a parameter that GLM does not take", async () => {
    const error = await catchError(generateText({ model: openModel(), prompt: "hello", temperature: 5, ...plain }));
    assert.deepEqual([error.statusCode, codeOf(error), error.isRetryable], [400, "1214", false]);
    assert.match(error.message, /temperature/);
  });

  it("tries again after a fault that may pass, and is served", async () => {
    gateway.simulator.script({ fault: "error", code: "1302", retryAfter: 0.05 });
    const { text } = await generateText({ model: openModel(), prompt: "hello", ...plain });
    assert.ok(text.length > 0);
    assert.deepEqual(
      gateway
        .callLines()
        .slice(-2)
        .map(({ outcome }) => outcome),
      ["refused", "served"],
    );
  });

  it("that is aborted ends the call upstream", async () => {
    const controller = new AbortController();
    const call = generateText({
      model: openModel(),
      prompt: "[first=10000]",
      abortSignal: controller.signal,
      ...plain,
    });
    const outcome = assert.rejects(Promise.resolve(call), { name: "AbortError" });
    await until("the upstream has it", () => gateway.simulator.report().inFlight === 1);
    controller.abort();
    await outcome;
    await until("the upstream saw it close", () => gateway.simulator.report().abortCount === 1);
  });
});

describe("streamText of the AI SDK", () => {
  it("gets the text in pieces while the upstream still speaks, and the usage at the end", async () => {
    const result = streamText({ model: openModel(), prompt: "[frames=12] [delay=10]", ...plain });
    let inFlightAtFirst = -1;
    let pieces = 0;
    for await (const _ of result.textStream) {
      if (pieces++ === 0) inFlightAtFirst = gateway.simulator.report().inFlight;
    }
    assert.equal(inFlightAtFirst, 1);
    assert.equal(pieces, 12);
    assert.equal((await result.usage).outputTokens, 12);
    assert.equal(await result.finishReason, "stop");
  });

  it("gets the reasoning before the text", async () => {
    const kinds: string[] = [];
    for await (const { type } of streamText({ model: openModel(), prompt: "hello" }).fullStream) kinds.push(type);
    assert.ok(kinds.includes("reasoning-delta"), kinds.join(" "));
    assert.ok(kinds.lastIndexOf("reasoning-delta") < kinds.indexOf("text-delta"));
  });

  for (const toolStream of [false, true]) {
    it(`puts a tool's call together${toolStream ? " from its pieces, with tool_stream" : ""}`, async () => {
      const result = streamText({
        model: openModel(),
        prompt: "use get_weather",
        tools: { get_weather: weather },
        providerOptions: { glm: { thinking: { type: "disabled" }, tool_stream: toolStream } },
      });
      const [call] = await result.toolCalls;
      assert.equal(call?.toolName, "get_weather");
      assert.deepEqual(Object.keys(call?.input as object), ["city"]);
      assert.equal(await result.finishReason, "tool-calls");
    });
  }

  it("that is aborted ends the call upstream and frees its ticket", async () => {
    const controller = new AbortController();
    const { textStream } = streamText({
      model: openModel(),
      prompt: "[frames=1000] [delay=5]",
      abortSignal: controller.signal,
      ...plain,
    });
    for await (const _ of textStream) controller.abort();
    await until("the upstream saw it close", () => gateway.simulator.report().abortCount === 1);
    await until("its ticket is back", () => gateway.app.snapshot().running === 0);
  });

  for (const fault of ["cutMidStream", "errorFrame"] as const) {
    it(`that breaks in its middle has an error among its parts: ${fault}`, async () => {
      gateway.simulator.script({ fault, after: 3 });
      const errors: unknown[] = [];
      const result = streamText({
        model: openModel(),
        prompt: "[frames=20]",
        onError: ({ error }) => void errors.push(error),
        ...plain,
      });
      let text = "";
      for await (const part of result.fullStream) if (part.type === "text-delta") text += part.text;
      assert.ok(text.length > 0);
      assert.equal(errors.length, 1);
      assert.equal(await result.finishReason, "error");
    });
  }

  it("that is refused tells the status and the code", async () => {
    const errors: unknown[] = [];
    const result = streamText({
      model: openModel("sk-not-a-token"),
      prompt: "hello",
      onError: ({ error }) => void errors.push(error),
      ...plain,
    });
    await result.consumeStream();
    const [error] = errors;
    assert.ok(APICallError.isInstance(error));
    assert.deepEqual([error.statusCode, codeOf(error)], [401, "invalid_token"]);
  });
});

describe("the AI SDK in the queue", () => {
  it("comes back after the time it is told when the queue is full, and is served", async () => {
    const limits = { concurrencyMax: 1, startsPerSecond: 2, queueCapacity: 0, abortLingerMs: 20 };
    gateway.app.apply({ ...gateway.settings, rateLimit: withLimits(gateway.settings.rateLimit, limits) });
    const controller = new AbortController();
    const first = generateText({
      model: openModel(),
      prompt: "[first=60000]",
      abortSignal: controller.signal,
      ...plain,
    });
    const left = assert.rejects(Promise.resolve(first));
    await until("the place is taken", () => gateway.simulator.report().inFlight === 1);
    const before = gateway.callLines().length;
    const call = generateText({ model: openModel(), prompt: "hello", ...plain });
    await until("it is refused", () => gateway.callLines().length > before);
    const refusedAt = performance.now();
    controller.abort();
    await left;
    assert.ok((await call).text.length > 0);
    assert.ok(performance.now() - refusedAt >= 490);
    assert.deepEqual(
      gateway
        .callLines()
        .slice(before)
        .map(({ outcome, reason }) => reason ?? outcome),
      ["queue_full", "client_gone", "served"],
    );
    gateway.app.apply(gateway.settings);
  });
});
