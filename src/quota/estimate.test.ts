import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { estimateCharge } from "./estimate.ts";
import { createPrices } from "./prices.ts";

const free = createPrices({ currency: "CNY", models: [] });
const noBound = { tokens: Number.POSITIVE_INFINITY, costMicros: Number.POSITIVE_INFINITY };
const wish = { model: "glm-4.6", inputBytes: 350, outputTokensMax: null };

describe("estimateCharge()", () => {
  it("guesses the prompt by its bytes, a token at least, and the answer as the configuration assumes", () => {
    const { requests, promptTokens, completionTokens } = estimateCharge(wish, 1_024, noBound, free);
    assert.deepEqual([requests, promptTokens, completionTokens], [1, 100, 1_024]);
    assert.equal(estimateCharge({ ...wish, inputBytes: 0 }, 1_024, noBound, free).promptTokens, 1);
  });

  it("believes a client that says how long its answer may be, whatever is left", () => {
    const stated = { ...wish, outputTokensMax: 5_000 };
    assert.equal(estimateCharge(stated, 1_024, { tokens: 10, costMicros: 0 }, free).completionTokens, 5_000);
  });

  it("assumes for an open answer no more than is left, of tokens and of money, and never less than nothing", () => {
    const prices = createPrices({
      currency: "CNY",
      models: [{ pattern: "*", input: 1, cachedInput: null, output: 2 }],
    });
    const completionFor = (tokens: number, costMicros: number) =>
      estimateCharge(wish, 1_024, { tokens, costMicros }, prices).completionTokens;
    assert.equal(completionFor(300, 1e9), 200);
    assert.equal(completionFor(1e9, 301), 100);
    assert.equal(completionFor(50, 1e9), 0);
    assert.equal(completionFor(1e9, 50), 0);
  });

  it("for an open answer costs no more than what is left, wherever the prompt alone does not", () => {
    const price = fc.double({ min: 0, max: 200, noNaN: true });
    fc.assert(
      fc.property(price, price, fc.nat(1e6), fc.nat(1e7), (input, output, inputBytes, costMicros) => {
        const prices = createPrices({ currency: "CNY", models: [{ pattern: "*", input, cachedInput: null, output }] });
        const room = { tokens: Number.POSITIVE_INFINITY, costMicros };
        const estimate = estimateCharge({ ...wish, inputBytes }, 4_096, room, prices);
        const ofPrompt = { promptTokens: estimate.promptTokens, cachedTokens: 0, completionTokens: 0 };
        assert.ok(estimate.costMicros <= Math.max(costMicros, prices.costMicros("x", ofPrompt)));
        assert.ok(Number.isSafeInteger(estimate.completionTokens) && estimate.completionTokens >= 0);
      }),
    );
  });
});
