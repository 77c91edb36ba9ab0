import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  computeBusyShare,
  computeCallJain,
  computeLateShare,
  integrateWhile,
  listLight,
  waitQuantile,
} from "./measures.ts";
import { type CallHistory, seedLimits } from "./policy.ts";
import type { RunResult } from "./run.ts";
import { plainCall } from "./trace.ts";
import { noLimits, plainUpstream } from "./upstream.ts";

function createCall(arrivedAt: number, more: Partial<CallHistory> & { userId?: string } = {}): CallHistory {
  return {
    callId: "call",
    plan: { ...plainCall, userId: more.userId ?? "ada" },
    arrivedAt,
    etaMs: null,
    startedAt: Number.NaN,
    endedAt: Number.NaN,
    outcome: "open",
    reason: null,
    retryAfterMs: null,
    upstreamRefusals: 0,
    ...more,
  };
}

function createRun(
  calls: readonly CallHistory[],
  stays: readonly (readonly [from: number, to: number])[] = [],
): RunResult {
  const upstream = { ...plainUpstream, limits: { ...noLimits, requestsPerSecond: 2 } };
  return {
    calls,
    scenario: { calls: [], durationMs: 10_000, limits: seedLimits, upstream },
    upstream: {
      sendCount: stays.length,
      violationTimes: [],
      refusals: [],
      stays: stays.map(([from, to]) => ({ from, to, lengths: plainCall })),
      strangerStays: [],
    },
    complaints: [],
  };
}

describe("measures", () => {
  it("integrates what is in use only while somebody waits", () => {
    const uses = [
      { from: 0, to: 10 },
      { from: 5, to: 20 },
    ];
    const waits = [
      { from: 8, to: 12 },
      { from: 9, to: 11 },
      { from: 30, to: 31 },
    ];
    assert.deepEqual(integrateWhile(uses, waits, 2), { both: 2 * 2 + 2 * 1, time: 5 });
  });

  it("takes a rate as fully used when its window is full for as long as somebody waits", () => {
    const waiting = createCall(100, { startedAt: 1_000, endedAt: 1_100, outcome: "served" });
    assert.equal(
      computeBusyShare(
        createRun(
          [waiting],
          [
            [0, 50],
            [0, 50],
            [1_000, 1_050],
          ],
        ),
      ),
      1,
    );
  });

  it("takes it as half used when one of two starts was left unused", () => {
    const waiting = createCall(0, { startedAt: 1_000, endedAt: 1_100, outcome: "served" });
    assert.equal(computeBusyShare(createRun([waiting], [[0, 50]])), 0.5);
  });

  it("calls nobody unfair who gets what it asked for", () => {
    const served = { startedAt: 0, endedAt: 1, outcome: "served" } as const;
    const calls = [createCall(0, { userId: "eve", ...served }), ...[1, 2, 3].map((at) => createCall(at, served))];
    assert.equal(computeCallJain(createRun(calls)), 1);
  });

  it("counts as late who was refused after half a second", () => {
    const calls = [0, 501].map((waited) => createCall(100, { endedAt: 100 + waited, outcome: "refused" }));
    assert.equal(computeLateShare(createRun(calls)), 0.5);
  });

  it("knows light users by the number of their calls", () => {
    const calls = [createCall(0), createCall(1), createCall(2, { userId: "eve" })];
    assert.deepEqual(
      listLight(createRun(calls), 1).map(({ plan }) => plan.userId),
      ["eve"],
    );
  });

  it("takes quantiles of waits as the smallest wait that enough calls stay within", () => {
    const calls = [30, 10, 20, 40].map((startedAt) => createCall(0, { startedAt }));
    assert.equal(waitQuantile(calls, 0.5), 20);
    assert.equal(waitQuantile(calls, 0.99), 40);
  });
});
