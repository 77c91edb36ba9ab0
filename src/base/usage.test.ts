import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { AnswerFormat } from "./answer-format.ts";
import { findUsage, parseUsage } from "./usage.ts";

describe("parseUsage()", () => {
  it("reads a chat's counts, with what of them was cached and thought", () => {
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 3 },
    };
    assert.deepEqual(parseUsage(usage), { promptTokens: 10, completionTokens: 5, cachedTokens: 4, reasoningTokens: 3 });
  });

  it("reads counts of what has no answer: embeddings, the tokenizer", () => {
    const expected = { promptTokens: 7, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0 };
    for (const usage of [{ prompt_tokens: 7, total_tokens: 7 }, { total_tokens: 7 }, { prompt_tokens: 7 }]) {
      assert.deepEqual(parseUsage(usage, "plain"), expected);
    }
  });

  it("adds up what Anthropic counts apart", () => {
    const usage = { input_tokens: 1, cache_read_input_tokens: 20, cache_creation_input_tokens: 300, output_tokens: 4 };
    const expected = { promptTokens: 321, completionTokens: 4, cachedTokens: 20, reasoningTokens: 0 };
    assert.deepEqual(parseUsage(usage, "messages"), expected);
  });

  it("reads a response's counts", () => {
    const usage = {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 3 },
    };
    const expected = { promptTokens: 10, completionTokens: 5, cachedTokens: 4, reasoningTokens: 3 };
    assert.deepEqual(parseUsage(usage, "responses"), expected);
  });

  it("believes nothing that has a count which is none", () => {
    for (const count of [-1, 1.5, "7", Number.NaN, 2 ** 53, {}]) {
      assert.equal(parseUsage({ prompt_tokens: 1, completion_tokens: count }), null);
      assert.equal(parseUsage({ input_tokens: count, output_tokens: 1 }, "messages"), null);
      assert.equal(parseUsage({ input_tokens: 1, output_tokens: count }, "responses"), null);
    }
  });

  it("has sensible counts or none, whatever an upstream says", () => {
    const names = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"];
    const more = ["prompt_tokens_details", "cached_tokens", "cache_read_input_tokens", "input_tokens_details"];
    const anyValue = fc.oneof(fc.nat(), fc.jsonValue({ maxDepth: 2 }), fc.record({ cached_tokens: fc.jsonValue() }));
    const anyFormat = fc.constantFrom<AnswerFormat>("chat", "messages", "responses", "plain");
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names, ...more), anyValue), anyFormat, (usage, format) => {
        const parsed = findUsage({ usage }, format);
        for (const count of Object.values(parsed ?? {})) assert.ok(Number.isSafeInteger(count) && count >= 0);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("findUsage()", () => {
  it("finds none where there is nothing to look into", () => {
    for (const body of [null, undefined, "usage", 7, [], {}, { usage: null }, { usage: "7" }]) {
      assert.equal(findUsage(body, "chat"), null);
    }
  });
});
