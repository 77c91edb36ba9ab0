import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ChatAnswer, composeAnswer } from "./chat-answer.ts";
import type { ChatRequest } from "./chat-request.ts";
import { createRandom } from "./random.ts";
import { composeArguments } from "./tool-arguments.ts";

const request: ChatRequest = {
  model: "glm-4.5-flash",
  isStream: false,
  isThinking: false,
  hasToolStream: false,
  tokensMax: 1_000,
  requestId: null,
  prompt: "hello",
  promptTokens: 12,
  tool: null,
  wishes: { frames: null, reasoningFrames: null, delayMs: null, firstMs: null },
};

const parameters = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "integer" },
    unit: { enum: ["C", "F"] },
    isLong: { type: "boolean" },
    places: { type: "array", items: { type: "object", properties: { name: { type: "string" } } } },
  },
};
const tool = { name: "get_weather", parameters };

const answer = (more: Partial<ChatRequest> = {}, seed = 1): ChatAnswer =>
  composeAnswer({ ...request, ...more }, seed, "id", 1_700_000_000_999);

describe("an answer of the simulated GLM", () => {
  it("is the same for the same seed and prompt, and another for others", () => {
    assert.deepEqual(answer(), answer());
    const texts = [1, 2, 3, 4, 5, 6].map((seed) => answer({}, seed).content.join(""));
    assert.ok(new Set(texts).size > 1, "seeds differ");
    const others = ["a", "b", "c", "d", "e", "f"].map((prompt) => answer({ prompt }).content.join(""));
    assert.ok(new Set(others).size > 1, "prompts differ");
  });

  it("speaks the prompt's language", () => {
    assert.doesNotMatch(answer().content.join(""), /\p{Script=Han}/u);
    assert.match(answer({ prompt: "你好" }).content.join(""), /^[\p{Script=Han}，。]+$/u);
  });

  it("has as many pieces as the prompt wishes", () => {
    assert.equal(answer().content.length, 8);
    assert.equal(
      answer({ wishes: { frames: 40, reasoningFrames: null, delayMs: null, firstMs: null } }).content.length,
      40,
    );
    assert.equal(
      answer({ wishes: { frames: 0, reasoningFrames: null, delayMs: null, firstMs: null } }).content.length,
      0,
    );
  });

  it("reasons before it answers when it thinks", () => {
    assert.deepEqual(answer().reasoning, []);
    assert.equal(answer({ isThinking: true }).reasoning.length, 4);
    const wishes = { frames: null, reasoningFrames: 9, delayMs: null, firstMs: null };
    assert.equal(answer({ isThinking: true, wishes }).reasoning.length, 9);
  });

  it("calls a tool with arguments of the right types", () => {
    const { toolCall, content, finishReason } = answer({ tool });
    assert.equal(finishReason, "tool_calls");
    assert.deepEqual(content, []);
    const { city, days, unit, isLong, places, ...others } = JSON.parse(toolCall?.arguments ?? "");
    assert.deepEqual([typeof city, typeof days, typeof isLong, others], ["string", "number", "boolean", {}]);
    assert.ok(["C", "F"].includes(unit));
    assert.equal(typeof places[0].name, "string");
  });

  it("is cut by max_tokens, reasoning first", () => {
    const { reasoning, content, finishReason } = answer({ isThinking: true, tokensMax: 6 });
    assert.deepEqual([reasoning.length, content.length, finishReason], [4, 2, "length"]);
    const nothing = answer({ isThinking: true, tokensMax: 3, tool });
    assert.deepEqual([nothing.reasoning.length, nothing.toolCall, nothing.finishReason], [3, null, "length"]);
    const cut = answer({ tool, tokensMax: 2 });
    assert.equal(cut.toolCall?.arguments.length, 8);
    assert.equal(cut.finishReason, "length");
  });

  it("counts in its usage what it says, never more than max_tokens", () => {
    const wishes = fc.record({
      isThinking: fc.boolean(),
      tokensMax: fc.integer({ min: 1, max: 60 }),
      tool: fc.constantFrom(null, tool),
      prompt: fc.string(),
      frames: fc.integer({ min: 0, max: 50 }),
    });
    fc.assert(
      fc.property(wishes, fc.integer(), ({ frames, ...more }, seed) => {
        const { usage, reasoning, content, toolCall, finishReason } = answer(
          { ...more, wishes: { frames, reasoningFrames: null, delayMs: null, firstMs: null } },
          seed,
        );
        const callTokens = Math.ceil((toolCall?.arguments.length ?? 0) / 4);
        assert.equal(usage.completion_tokens, reasoning.length + content.length + callTokens);
        assert.equal(usage.completion_tokens_details.reasoning_tokens, reasoning.length);
        assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
        assert.ok(usage.completion_tokens <= more.tokensMax);
        if (finishReason !== "length" && toolCall) JSON.parse(toolCall.arguments);
      }),
    );
  });
});

describe("arguments of a tool call", () => {
  it("are a JSON object, whatever stands in the schema's place", () => {
    fc.assert(
      fc.property(fc.anything(), fc.integer(), (schema, seed) => {
        const parsed: unknown = JSON.parse(composeArguments(schema, createRandom(seed)));
        assert.ok(typeof parsed === "object" && parsed !== null && !Array.isArray(parsed));
      }),
    );
  });

  it("end, however deep the schema nests", () => {
    let schema: object = { type: "string" };
    for (let depth = 0; depth < 100; depth++) schema = { type: "object", properties: { deeper: schema } };
    assert.ok(composeArguments(schema, createRandom(1)).length < 100);
  });
});
