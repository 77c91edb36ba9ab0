import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { noCharge } from "../base/charge.ts";
import { noInput } from "../base/input-size.ts";
import { Refusal } from "../base/refusal.ts";
import type { VerdictKind } from "../base/verdict.ts";
import { type ChargeableCall, createToCharge } from "./charge-call.ts";

const toCharge = createToCharge((_model, { promptTokens, cachedTokens, completionTokens }) => {
  return (promptTokens - cachedTokens) * 2 + cachedTokens + completionTokens * 8;
});

function call(more: Partial<ChargeableCall> = {}): ChargeableCall {
  return {
    sentAt: 10,
    upstreamVerdict: "good",
    usage: { promptTokens: 100, cachedTokens: 40, completionTokens: 10, reasoningTokens: 4 },
    refusal: null,
    model: "glm-4.5-flash",
    input: { textBytes: 700, binaryTokens: 0 },
    bytesOut: 2_400,
    eventCount: 12,
    isStream: true,
    billing: "call",
    ...more,
  };
}

describe("createToCharge()", () => {
  it("charges what the upstream reported", () => {
    assert.deepEqual(toCharge(call()), {
      requests: 1,
      promptTokens: 100,
      completionTokens: 10,
      costMicros: 60 * 2 + 40 + 80,
      source: "reported",
    });
  });

  it("charges a task's request when it is handed in, and its tokens when its result is fetched", () => {
    const { requests, promptTokens, completionTokens } = toCharge(call({ billing: "request", usage: null }));
    assert.deepEqual([requests, promptTokens, completionTokens], [1, 0, 0]);
    const fetched = toCharge(call({ billing: "poll" }));
    assert.deepEqual([fetched.requests, fetched.promptTokens, fetched.completionTokens], [0, 100, 10]);
    assert.deepEqual(toCharge(call({ billing: "poll", usage: null })), noCharge);
  });

  it("charges nothing for a call that was never sent", () => {
    assert.deepEqual(toCharge(call({ sentAt: null })), noCharge);
  });

  it("charges nothing for a call that the upstream refused, for its limits or for what it was", () => {
    const refused: VerdictKind[] = ["over_limit", "too_fast", "overloaded", "quota", "account", "failed"];
    for (const upstreamVerdict of refused) {
      assert.deepEqual(toCharge(call({ upstreamVerdict, usage: null })), noCharge, upstreamVerdict);
    }
    const refusal = new Refusal("upstream_rejected", { upstreamStatus: 400 });
    assert.deepEqual(toCharge(call({ refusal, usage: null })), noCharge);
  });

  it("charges what was reported although the answer ended in an error", () => {
    assert.equal(toCharge(call({ upstreamVerdict: "failed" })).promptTokens, 100);
  });

  it("guesses by the bytes when a sent call was cut, given up or not counted by the upstream", () => {
    const refusal = new Refusal("upstream_truncated");
    assert.deepEqual(toCharge(call({ usage: null, refusal })), {
      requests: 1,
      promptTokens: 200,
      completionTokens: 20,
      costMicros: 200 * 2 + 20 * 8,
      source: "estimated",
    });
    assert.equal(toCharge(call({ usage: null, upstreamVerdict: null })).requests, 1);
    assert.equal(toCharge(call({ usage: null, isStream: false, bytesOut: 350 })).completionTokens, 100);
    assert.equal(toCharge(call({ usage: null, eventCount: 90 })).completionTokens, 90);
  });

  it("takes at least one token for a prompt that it guesses", () => {
    const { promptTokens, completionTokens } = toCharge(
      call({ usage: null, input: noInput, bytesOut: 0, eventCount: 0 }),
    );
    assert.deepEqual([promptTokens, completionTokens], [1, 0]);
  });

  it("takes counts that can't be for not reported, up to a thousand million, which can", () => {
    const usage = { promptTokens: 100, cachedTokens: 0, completionTokens: 10, reasoningTokens: 0 };
    for (const nonsense of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1_000_000_001]) {
      for (const field of ["promptTokens", "completionTokens"]) {
        assert.equal(
          toCharge(call({ usage: { ...usage, [field]: nonsense } })).source,
          "estimated",
          `${field} ${nonsense}`,
        );
      }
      assert.equal(toCharge(call({ usage: { ...usage, cachedTokens: nonsense } })).costMicros > 0, true);
    }
    assert.equal(toCharge(call({ usage: { ...usage, promptTokens: 1_000_000_000 } })).source, "reported");
  });

  it("gives whole, bounded numbers whatever the record and the prices say", () => {
    const anyNumber = fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger(), fc.constant(2 ** 60));
    const anyUsage = fc.record({
      promptTokens: anyNumber,
      cachedTokens: anyNumber,
      completionTokens: anyNumber,
      reasoningTokens: anyNumber,
    });
    const anyCall = fc.record({
      sentAt: fc.option(fc.double({ noNaN: true })),
      upstreamVerdict: fc.option(fc.constantFrom<VerdictKind>("good", "failed", "quota")),
      usage: fc.option(anyUsage),
      refusal: fc.constantFrom(null, new Refusal("upstream_rejected"), new Refusal("client_gone")),
      model: fc.option(fc.string()),
      input: fc.record({ textBytes: anyNumber, binaryTokens: fc.nat() }),
      bytesOut: anyNumber,
      eventCount: anyNumber,
      isStream: fc.boolean(),
      billing: fc.constant("call" as const),
    });
    fc.assert(
      fc.property(anyCall, anyNumber, (anything, price) => {
        const charged = createToCharge((_model, tokens) => price * tokens.promptTokens)(anything);
        for (const amount of [charged.promptTokens, charged.completionTokens, charged.costMicros]) {
          assert.ok(Number.isSafeInteger(amount) && amount >= 0, String(amount));
        }
        assert.equal(charged.requests, charged.source === "none" ? 0 : 1);
        assert.equal(charged.source === "none" || anything.sentAt !== null, true);
      }),
      { numRuns: 1_000 },
    );
  });
});
