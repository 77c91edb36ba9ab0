import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Usage } from "../base/answer.ts";
import type { Grant, OfferedCall } from "./core.ts";
import { type Capacity, Costs } from "./costs.ts";

const infinity = Number.POSITIVE_INFINITY;
const model = "glm-4.5-flash";

/** Two starts per second, four calls at once and 60,000 tokens per minute, where nothing else is said. */
function capacityOf({ perSecond = 2, concurrency = 4, tokensPerMinute = 60_000 } = {}): Capacity {
  return {
    ratePerMs: () => perSecond / 1_000,
    concurrencyOf: () => concurrency,
    tokensPerMs: () => tokensPerMinute / 60_000,
  };
}

function callOf(changes: Partial<OfferedCall> = {}): OfferedCall {
  return {
    callId: "call",
    userId: "ada",
    weight: 1,
    class: "default",
    flowId: "chat",
    model,
    patienceMs: null,
    inputBytes: 0,
    outputTokensMax: null,
    retryCount: 0,
    place: null,
    ...changes,
  };
}

function grantOf(changes: Partial<OfferedCall> = {}): Grant {
  const place = { sequence: 1, arrivedAt: 0, deadlineAt: 5_000, tryCount: 0, upstreamRefusal: null, triedKeys: [] };
  return { call: callOf(changes), place, upstreamKey: "key", positionAtArrival: 0, etaMsAtArrival: 0, grantedAt: 0 };
}

function usageOf(promptTokens: number, completionTokens: number): Usage {
  return { promptTokens, completionTokens, cachedTokens: 0, reasoningTokens: 0 };
}

describe("the price of a call", () => {
  const costs = new Costs(capacityOf());

  it("is one start where the rate is scarcest", () => {
    assert.equal(costs.price(model, 900, 100), 500);
  });

  it("is its share of the places where these are scarcest", () => {
    assert.equal(costs.price(model, 30_000, 100), 7_500);
  });

  it("is the time that its tokens take where these are scarcest", () => {
    assert.equal(costs.price(model, 900, 3_000), 3_000);
  });

  it("is the same for everybody, and not zero, where nothing is limited", () => {
    const free = new Costs(capacityOf({ perSecond: infinity, concurrency: infinity, tokensPerMinute: infinity }));
    assert.deepEqual([free.price(model, 60_000, 1e6), free.price(model, 0, 0)], [1, 1]);
  });
});

describe("the estimate of a call's cost", () => {
  it("is one start before anything was seen", () => {
    const costs = new Costs(capacityOf());
    assert.equal(costs.estimateMs(callOf()), 500);
    assert.equal(costs.typicalMs, 500);
  });

  it("is what the same user's calls of the model took, else what anybody's took", () => {
    const costs = new Costs(capacityOf());
    costs.learn(grantOf({ userId: "ada" }), 40_000, 0, usageOf(0, 0));
    costs.learn(grantOf({ userId: "bob" }), 4_000, 0, usageOf(0, 0));
    assert.deepEqual([costs.estimateMs(callOf()), costs.estimateMs(callOf({ userId: "bob" }))], [10_000, 1_000]);
    const ofOther = costs.estimateMs(callOf({ userId: "eve" }));
    assert.ok(ofOther > 1_000 && ofOther < 10_000, "in between: a mean of both");
    assert.equal(costs.estimateMs(callOf({ model: "glm-5" })), 500, "nothing is known of another model");
  });

  it("comes near what calls take now, whatever they took before", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2_000, max: 1e6 }), fc.integer({ min: 2_000, max: 1e6 }), (beforeMs, nowMs) => {
        const costs = new Costs(capacityOf());
        costs.learn(grantOf(), beforeMs, 0, usageOf(0, 0));
        for (let count = 0; count < 50; count++) costs.learn(grantOf(), nowMs, 0, usageOf(0, 0));
        const [estimateMs, trueMs] = [costs.estimateMs(callOf()), nowMs / 4];
        assert.ok(Math.abs(estimateMs - trueMs) <= 0.01 * trueMs + 10, `${estimateMs} instead of ${trueMs}`);
      }),
    );
  });

  it("follows new limits at once: what is known is what calls take, not what that costs", () => {
    let concurrency = 4;
    const costs = new Costs({ ...capacityOf(), concurrencyOf: () => concurrency });
    costs.learn(grantOf(), 40_000, 0, usageOf(0, 0));
    concurrency = 1;
    assert.equal(costs.estimateMs(callOf()), 40_000);
  });

  it("tells the typical cost and time in flight", () => {
    const costs = new Costs(capacityOf());
    assert.deepEqual([costs.slotMsOf(model), costs.slotMedianMsOf(model), costs.meanTokensOf(model)], [0, 0, 0]);
    for (let count = 0; count < 9; count++) costs.learn(grantOf(), 8_000, 0, usageOf(10, 90));
    assert.deepEqual([costs.slotMsOf(model), costs.meanTokensOf(model), costs.typicalMs], [8_000, 100, 2_000]);
    assert.ok(Math.abs(costs.slotMedianMsOf(model) - 8_000) < 1e-6);
  });

  it("knows the time to the first byte from a model's second call on", () => {
    const costs = new Costs(capacityOf());
    costs.noteFirstByte(model, 700);
    assert.equal(costs.firstByteMsOf(model), 0, "no call of it has ended well yet");
    costs.learn(grantOf(), 8_000, 0, null);
    costs.noteFirstByte(model, 700);
    assert.ok(Math.abs(costs.firstByteMsOf(model) - 700) < 1e-6);
  });

  it("remembers a bounded number of models, since clients may send any name", () => {
    const costs = new Costs(capacityOf());
    for (let index = 0; index <= 256; index++) costs.learn(grantOf({ model: `m-${index}` }), 5_000, 0, null);
    assert.deepEqual([costs.slotMsOf("m-0"), costs.slotMsOf("m-1"), costs.slotMsOf("m-256")], [0, 5_000, 5_000]);
  });
});

describe("the tokens that a call takes from the limit", () => {
  it("are the most that it may use, when it says so and that is not much", () => {
    const costs = new Costs(capacityOf());
    const reserved = costs.reserve(callOf({ inputBytes: 350, outputTokensMax: 4_096 }));
    assert.deepEqual(reserved, { tokens: 4_196, isDebt: false });
  });

  it("are a guess, put right at the end, when it says nothing or very much", () => {
    const costs = new Costs(capacityOf());
    assert.deepEqual(costs.reserve(callOf({ inputBytes: 350 })), { tokens: 612, isDebt: true });
    assert.deepEqual(costs.reserve(callOf({ outputTokensMax: 4_097 })), { tokens: 512, isDebt: true });
  });

  it("are guessed from what the same user's answers had, never more than the call allows", () => {
    const costs = new Costs(capacityOf());
    costs.learn(grantOf({ userId: "ada" }), 1_000, 0, usageOf(0, 9_000));
    costs.learn(grantOf({ userId: "bob" }), 1_000, 0, usageOf(0, 30));
    assert.equal(costs.reserve(callOf({ userId: "ada" })).tokens, 9_000);
    assert.equal(costs.reserve(callOf({ userId: "ada", outputTokensMax: 5_000 })).tokens, 5_000);
    assert.equal(costs.reserve(callOf({ userId: "bob" })).tokens, 30);
  });

  it("are found from bytes ever more exactly, by what the upstream reports", () => {
    const costs = new Costs(capacityOf());
    const grant = grantOf({ inputBytes: 10_000 });
    assert.equal(Math.round(costs.guessTokens(grant.call, 12_000)), 2_957, "3.5 bytes of input, 120 of output each");
    // In truth, 2 bytes of input are a token, and 300 of output.
    for (let count = 0; count < 30; count++) costs.learn(grant, 1_000, 12_000, usageOf(5_000, 40));
    const guess = costs.guessTokens(grant.call, 12_000);
    assert.ok(Math.abs(guess - 5_040) < 50, String(guess));
    assert.ok(Math.abs(costs.reserve(grant.call).tokens - 5_040) < 50);
  });

  it("are guessed from bytes for a call of which the upstream reported nothing", () => {
    const costs = new Costs(capacityOf());
    costs.learn(grantOf({ inputBytes: 350 }), 1_000, 12_000, null);
    assert.equal(costs.meanTokensOf(model), 200);
  });

  it("stay sane when a report is absurd", () => {
    const costs = new Costs(capacityOf());
    const grant = grantOf({ inputBytes: 1_000_000 });
    for (let count = 0; count < 100; count++) costs.learn(grant, 1_000, 1_000_000, usageOf(1, 1));
    const guess = costs.guessTokens(grant.call, 1_000_000);
    assert.ok(guess > 20_000 && guess < 22_000, `bytes per token are bounded: ${guess}`);
  });
});
