import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createTokenRatios } from "./token-ratios.ts";

const text = (textBytes: number) => ({ textBytes, binaryTokens: 0 });
const counted = (more: object = {}) => ({
  input: text(600),
  bytesOut: 4_000,
  isStream: false,
  promptTokens: 100,
  completionTokens: 1_000,
  ...more,
});

describe("createTokenRatios()", () => {
  it("guesses at first, a token at least", () => {
    const ratios = createTokenRatios();
    assert.equal(ratios.promptTokens("m", text(35)), 10);
    assert.equal(ratios.promptTokens(null, text(0)), 1);
    assert.equal(ratios.completionTokens("m", 240, true), 2);
    assert.equal(ratios.completionTokens("m", 35, false), 10);
  });

  it("comes to say what is counted, for each model apart", () => {
    const ratios = createTokenRatios();
    for (let count = 0; count < 200; count++) ratios.learn("m", counted());
    assert.ok(Math.abs(ratios.promptTokens("m", text(6_000)) - 1_000) < 30);
    assert.ok(Math.abs(ratios.completionTokens("m", 4_000, false) - 1_000) < 10);
    assert.equal(ratios.completionTokens("m", 240, true), 2, "streams are another matter");
    assert.equal(ratios.promptTokens("other", text(35)), 10);
  });

  it("follows when a model's tokens become others", () => {
    const ratios = createTokenRatios();
    for (let count = 0; count < 500; count++) ratios.learn("m", counted());
    for (let count = 0; count < 1_000; count++) ratios.learn("m", counted({ input: text(300) }));
    assert.ok(Math.abs(ratios.promptTokens("m", text(3_000)) - 1_000) < 30);
  });

  it("does not believe counts that can't be", () => {
    const ratios = createTokenRatios();
    for (const promptTokens of [0, 1e9, Number.NaN]) ratios.learn("m", counted({ promptTokens, completionTokens: 0 }));
    assert.equal(ratios.promptTokens("m", text(35)), 10);
  });

  it("gives a sensible number whatever it was told", () => {
    const anyCall = fc.record({
      input: fc.nat().map(text),
      bytesOut: fc.nat(),
      isStream: fc.boolean(),
      promptTokens: fc.nat(),
      completionTokens: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 50, size: "max" }), fc.nat(1e8), (calls, bytes) => {
        const ratios = createTokenRatios();
        for (const call of calls) ratios.learn("m", call);
        const tokens = ratios.promptTokens("m", text(bytes));
        assert.ok(Number.isSafeInteger(tokens) && tokens >= 1 && tokens <= bytes * 2 + 1);
      }),
    );
  });

  it("remembers a thousand models, and forgets who was not counted for longest", () => {
    const ratios = createTokenRatios();
    for (let count = 0; count < 100; count++) ratios.learn("first", counted());
    for (let count = 0; count < 999; count++) ratios.learn(`m${count}`, counted());
    assert.notEqual(ratios.promptTokens("first", text(3_500)), 1_000);
    ratios.learn("one more", counted());
    assert.equal(ratios.promptTokens("first", text(3_500)), 1_000);
  });
});
