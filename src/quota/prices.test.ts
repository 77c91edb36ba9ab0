import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPrices } from "./prices.ts";

const prices = createPrices({
  currency: "CNY",
  models: [
    { pattern: "glm-4.5-flash", input: 0, cachedInput: null, output: 0 },
    { pattern: "glm-4.5*", input: 0.8, cachedInput: 0.16, output: 2 },
    { pattern: "*", input: 100, cachedInput: null, output: 100 },
  ],
});
const counts = { promptTokens: 1_000, cachedTokens: 400, completionTokens: 500 };

describe("createPrices()", () => {
  it("reckons in millionths of the currency, by the first pattern that matches", () => {
    assert.equal(prices.costMicros("glm-4.5-flash", counts), 0);
    assert.equal(prices.costMicros("glm-4.5-air", counts), 600 * 0.8 + 400 * 0.16 + 500 * 2);
    assert.equal(prices.costMicros("glm-5", counts), 150_000, "cached input costs as the rest where nothing is said");
  });

  it("takes what has no price, or no model, for free", () => {
    assert.equal(createPrices({ currency: "EUR", models: [] }).costMicros("glm-5", counts), 0);
    assert.equal(prices.costMicros(null, counts), 0);
  });

  it("rounds to whole millionths, and believes no more cached tokens than there are", () => {
    const { costMicros } = createPrices({
      currency: "CNY",
      models: [{ pattern: "*", input: 0.5, cachedInput: 0, output: 0 }],
    });
    assert.equal(costMicros("x", { promptTokens: 1, cachedTokens: 0, completionTokens: 0 }), 1);
    assert.equal(costMicros("x", { promptTokens: 1, cachedTokens: 9, completionTokens: 0 }), 0);
  });
});
