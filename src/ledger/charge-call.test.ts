import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { noCharge } from "../base/charge.ts";
import { noInput } from "../base/input-size.ts";
import { Refusal } from "../base/refusal.ts";
import type { VerdictKind } from "../base/verdict.ts";
import {
  type ChargeableCall,
  chargeSources,
  createToCharge,
  toProgress,
  type UpstreamProgress,
} from "./charge-call.ts";

const toCharge = createToCharge((_model, { promptTokens, cachedTokens, completionTokens }) => {
  return (promptTokens - cachedTokens) * 2 + cachedTokens + completionTokens * 8;
});

function call(more: Partial<ChargeableCall> = {}): ChargeableCall {
  return {
    sentAt: 10,
    hasBegun: true,
    mayHaveRun: false,
    hasLostTry: false,
    upstreamStatus: 200,
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

type Facts = Partial<ChargeableCall>;
const rejected = new Refusal("upstream_rejected", { upstreamStatus: 400 });
const refusingVerdicts: VerdictKind[] = ["over_limit", "too_fast", "overloaded", "quota", "account", "restricted"];
const unbegun: Facts = { hasBegun: false, upstreamStatus: null, upstreamVerdict: null };
/** How far a call can get upstream, and every state of a record that stands for it. */
const progresses: Record<UpstreamProgress, readonly Facts[]> = {
  unsent: [
    { ...unbegun, sentAt: null },
    { ...unbegun, sentAt: null, refusal: new Refusal("queue_timeout") },
    { ...unbegun, sentAt: null, upstreamVerdict: "unreachable", refusal: new Refusal("upstream_refused") },
  ],
  refused: [
    ...refusingVerdicts.map((upstreamVerdict) => ({ ...unbegun, upstreamStatus: 429, upstreamVerdict })),
    ...refusingVerdicts.map((upstreamVerdict) => ({ ...unbegun, upstreamStatus: 200, upstreamVerdict })),
    { ...unbegun, upstreamStatus: 400, upstreamVerdict: "good", refusal: rejected },
    { ...unbegun, upstreamStatus: 200, upstreamVerdict: "good", refusal: rejected },
    // It did not get the request whole.
    { ...unbegun, upstreamVerdict: "unreachable", refusal: new Refusal("upstream_reset") },
    // Its own error, or that of a gateway on the way.
    { ...unbegun, upstreamStatus: 500, upstreamVerdict: "failed" },
    { ...unbegun, upstreamStatus: 502, upstreamVerdict: "failed", mayHaveRun: true },
  ],
  unanswered: [
    unbegun,
    { ...unbegun, refusal: new Refusal("upstream_timeout") },
    { ...unbegun, refusal: new Refusal("client_gone") },
    { ...unbegun, refusal: new Refusal("shutting_down") },
    { ...unbegun, upstreamVerdict: "silent", mayHaveRun: true },
    { ...unbegun, upstreamVerdict: "unreachable", mayHaveRun: true, refusal: new Refusal("upstream_reset") },
    // A whole answer that broke in its middle.
    { ...unbegun, upstreamStatus: 200, upstreamVerdict: "failed", mayHaveRun: true },
    { ...unbegun, upstreamStatus: 200, refusal: new Refusal("upstream_unexpected") },
    // The try before was never answered; the last one was not sent, or refused.
    { ...unbegun, sentAt: null, hasLostTry: true, refusal: new Refusal("queue_timeout") },
    { ...unbegun, hasLostTry: true, upstreamStatus: 429, upstreamVerdict: "over_limit" },
  ],
  begun: [
    {},
    { refusal: new Refusal("upstream_truncated") },
    { refusal: new Refusal("upstream_idle_timeout") },
    { refusal: new Refusal("upstream_timeout") },
    { refusal: new Refusal("client_gone") },
    { refusal: rejected },
    // The error that a stream ended in is not an answer that says no.
    ...[...refusingVerdicts, "failed" as const].map((upstreamVerdict) => ({ upstreamVerdict })),
    { hasLostTry: true },
  ],
};

describe("the table of charges", () => {
  const expected: Record<UpstreamProgress, readonly ["none" | "reported", "none" | "estimated"]> = {
    unsent: ["none", "none"],
    refused: ["reported", "none"],
    unanswered: ["reported", "estimated"],
    begun: ["reported", "estimated"],
  };

  for (const [progress, [withUsage, without]] of Object.entries(expected)) {
    it(`says ${withUsage} with usage and ${without} without it of what is ${progress}`, () => {
      for (const facts of progresses[progress as UpstreamProgress]) {
        assert.equal(toProgress(call(facts)), progress, JSON.stringify(facts));
        for (const [usage, source] of [
          [call().usage, withUsage],
          [null, without],
        ] as const) {
          const charge = toCharge(call({ ...facts, usage }));
          const isFree = source === "none";
          assert.deepEqual([charge.source, charge.requests], [source, isFree ? 0 : 1], JSON.stringify(facts));
          assert.equal(charge.promptTokens > 0 && charge.costMicros > 0, !isFree);
          if (source === "reported") assert.deepEqual([charge.promptTokens, charge.completionTokens], [100, 10]);
        }
      }
    });
  }

  it("decides in every combination of what can be known of a call, and an answer that begun is never free", () => {
    const facts = fc.record({
      sentAt: fc.constantFrom(null, 10),
      hasBegun: fc.boolean(),
      mayHaveRun: fc.boolean(),
      hasLostTry: fc.boolean(),
      upstreamStatus: fc.constantFrom(null, 200, 400, 429, 502),
      upstreamVerdict: fc.constantFrom<VerdictKind | null>(null, "good", ...refusingVerdicts, "failed", "silent"),
      usage: fc.constantFrom(null, call().usage),
      refusal: fc.constantFrom(null, rejected, new Refusal("client_gone"), new Refusal("upstream_truncated")),
    });
    fc.assert(
      fc.property(facts, (known) => {
        const { source } = toCharge(call(known));
        assert.equal(source, chargeSources[toProgress(call(known))][known.usage ? "reported" : "missing"]);
        if (known.hasBegun) assert.notEqual(source, "none");
        if (known.sentAt === null && !known.hasBegun && !known.hasLostTry) assert.equal(source, "none");
      }),
      { numRuns: 2_000 },
    );
  });
});

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
      hasBegun: fc.constant(false),
      mayHaveRun: fc.boolean(),
      hasLostTry: fc.constant(false),
      upstreamStatus: fc.option(fc.constantFrom(200, 400, 500)),
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
