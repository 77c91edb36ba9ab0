import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
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

  it("is within a millionth of exact arithmetic, a whole number, and no less for more tokens", () => {
    const millicents = fc.integer({ min: 0, max: 100_000 });
    const counts = fc.nat(2_000_000);
    fc.assert(
      fc.property(millicents, millicents, millicents, counts, counts, counts, (input, cached, output, p, c, o) => {
        const { costMicros } = createPrices({
          currency: "CNY",
          models: [{ pattern: "*", input: input / 1_000, cachedInput: cached / 1_000, output: output / 1_000 }],
        });
        const cost = costMicros("x", { promptTokens: p, cachedTokens: c, completionTokens: o });
        const cachedTokens = Math.min(p, c);
        const exact =
          BigInt(p - cachedTokens) * BigInt(input) + BigInt(cachedTokens) * BigInt(cached) + BigInt(o) * BigInt(output);
        const apart = BigInt(cost) * 1_000n - exact;
        assert.ok(apart >= -501n && apart <= 501n, `${cost} for ${exact} thousandths`);
        assert.ok(costMicros("x", { promptTokens: p, cachedTokens: c, completionTokens: o + 1 }) >= cost);
      }),
    );
  });
});
