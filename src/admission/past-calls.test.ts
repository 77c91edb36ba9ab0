import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { OfferedCall, SchedulerCore } from "./core.ts";
import { createFairCore } from "./fair-core.ts";
import { toLongestWindowMs } from "./past-calls.ts";
import type { AdmissionLimits, GateLimits, PastCall, PastCalls } from "./scheduler.ts";
import { toWindowLimits } from "./window-log.ts";

const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const startedAt = 5_000_000;
const lingerMs = 300;

function toLimits(more: Partial<GateLimits>, others: Partial<AdmissionLimits> = {}): AdmissionLimits {
  return {
    keys: [{ name: "first", models: null, ...unlimited, ...more }],
    models: [],
    user: unlimited,
    userQueueCapacity: null,
    queueCapacity: 1_000,
    queueTimeoutMs: 600_000,
    refusesEarly: false,
    sendGuardMs: 0,
    abortLingerMs: lingerMs,
    ...others,
  };
}

function past(more: Partial<PastCall> = {}): PastCall {
  const at = startedAt - 100;
  const call = { upstreamKey: "first", model: "glm", families: ["chat"], sentAt: at, tokens: 0, endedAt: at };
  return { ...call, wasCut: false, ...more };
}

function open(limits: AdmissionLimits, calls: readonly PastCall[], unknownUntil: number | null = null): SchedulerCore {
  const known: PastCalls = { calls, unknownUntil };
  return createFairCore({ limits, random: () => 0.5, past: known });
}

function call(model = "glm"): OfferedCall {
  return {
    callId: "1",
    userId: "ada",
    weight: 1,
    class: "default",
    flowId: "",
    model,
    patienceMs: null,
    inputBytes: 0,
    outputTokensMax: 1,
    retryCount: 0,
    place: null,
  } as unknown as OfferedCall;
}

/** Offers calls and lets time pass; when each was sent. Each runs for `slotMs`. */
function serve(core: SchedulerCore, count: number, untilMs: number, slotMs = 0, model = "glm"): number[] {
  const sends: number[] = [];
  const running: { endsAt: number; end: () => void }[] = [];
  const start = (grant: Parameters<SchedulerCore["sent"]>[0], now: number) => {
    core.sent(grant, now);
    sends.push(now);
    running.push({
      endsAt: now + slotMs,
      end: () => {
        core.release(grant, "ended", now + slotMs);
        core.settle(grant, { promptTokens: 0, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0 }, now + slotMs);
      },
    });
  };
  let now = startedAt;
  for (let index = 0; index < count; index++) {
    const offer = core.offer(call(model), now);
    if (offer.kind === "granted") start(offer.grant, now);
  }
  for (;;) {
    for (const ended of running.filter(({ endsAt }) => endsAt <= now)) {
      running.splice(running.indexOf(ended), 1);
      ended.end();
    }
    const turn = core.tick(now);
    for (const { grant } of turn.granted) start(grant, now);
    const next = Math.min(turn.wakeAt, ...running.map(({ endsAt }) => endsAt));
    if (turn.granted.length > 0) continue;
    if (next > startedAt + untilMs || next === Number.POSITIVE_INFINITY) return sends;
    now = Math.max(next, now);
  }
}

describe("a scheduler that begins after others", () => {
  it("sends no more in any window than it may, whatever was sent before, at whatever rate, and misses no start for long", () => {
    const rates = fc.constantFrom(0.1, 0.5, 1, 2, 5, 20, 200);
    // What the one before sent was within its own limit, or was not: both happen when the rate is changed.
    const agesMs = fc.array(fc.double({ min: 0, max: 12_000, noNaN: true }), { maxLength: 250 });
    fc.assert(
      fc.property(rates, agesMs, fc.boolean(), (rate, ages, isNamed) => {
        const { startsMax, windowMs } = toWindowLimits(rate, 0);
        const before = ages.map((age) => startedAt - age).sort((one, other) => one - other);
        const upstreamKey = isNamed ? "first" : null;
        const calls = before.map((at) => past({ sentAt: at, endedAt: at, upstreamKey }));
        const sends = serve(open(toLimits({ startsPerSecond: rate }), calls), startsMax + 1, windowMs * 2 + 1);
        const all = [...before, ...sends];
        for (let index = Math.max(before.length, startsMax); index < all.length; index++) {
          const withinMs = (all[index] as number) - (all[index - startsMax] as number);
          assert.ok(withinMs >= windowMs - 1e-6, `${startsMax + 1} starts within ${withinMs} of ${windowMs} ms`);
        }
        assert.equal(sends.length, startsMax + 1);
        assert.ok((sends[0] as number) <= startedAt + windowMs + 1e-6);
      }),
      { numRuns: 300 },
    );
  });

  it("waits a window when it knows nothing of before, for a model with limits of its own too, and no longer", () => {
    const models = [{ pattern: "glm-*", ...unlimited, startsPerSecond: 0.1 }];
    const limits = toLimits({ startsPerSecond: 2 }, { models });
    assert.equal(serve(open(limits, [], startedAt), 1, 20_000)[0], startedAt + 1_000);
    assert.equal(serve(open(limits, [], startedAt), 1, 20_000, 0, "glm-5")[0], startedAt + 10_000);
    assert.equal(serve(open(limits, [], startedAt - 700), 1, 20_000)[0], startedAt + 300);
    assert.equal(serve(open(limits, [], startedAt - 20_000), 1, 20_000)[0], startedAt);
  });

  it("counts what was cut as running until the upstream has noticed", () => {
    const cut = past({ wasCut: true, endedAt: startedAt - 100 });
    const limits = toLimits({ concurrencyMax: 2 });
    assert.deepEqual(serve(open(limits, [cut, past()]), 2, 10_000, 1_000), [startedAt, startedAt + 200]);
    assert.equal(serve(open(limits, [cut, cut]), 1, 10_000)[0], startedAt + 200);
    const old = past({ wasCut: true, endedAt: startedAt - 400 });
    assert.equal(serve(open(limits, [old, old]), 1, 10_000)[0], startedAt);
  });

  it("counts the tokens of calls that ended within the minute", () => {
    const used = past({ tokens: 1_000, endedAt: startedAt - 20_000 });
    const [sentAt] = serve(open(toLimits({ tokensPerMinute: 1_000 }), [used]), 1, 100_000);
    assert.ok(sentAt !== undefined && sentAt >= startedAt + 40_000 && sentAt <= startedAt + 40_200, String(sentAt));
    const [unknownAt] = serve(open(toLimits({ tokensPerMinute: 1_000 }), [], startedAt), 1, 100_000);
    assert.ok(unknownAt !== undefined && unknownAt >= startedAt + 60_000 && unknownAt <= startedAt + 60_200);
  });

  it("counts a call for its key alone, and one of a key that is not there for all", () => {
    const keys = ["first", "second"].map((name) => ({ name, models: null, ...unlimited, startsPerSecond: 1 }));
    const limits = toLimits({}, { keys });
    const sendsAfter = (upstreamKey: string | null) =>
      serve(open(limits, [past({ upstreamKey })]), 2, 5_000).map((at) => at - startedAt);
    assert.deepEqual(sendsAfter("second"), [0, 900]);
    assert.deepEqual(sendsAfter("renamed"), [900, 900]);
    assert.deepEqual(sendsAfter(null), [900, 900]);
  });

  it("looks back as far as the longest window, and at least a minute", () => {
    const families = [{ family: "images", startsPerSecond: 0.001, concurrencyMax: null }];
    assert.equal(toLongestWindowMs(toLimits({})), 60_000 + lingerMs);
    assert.equal(toLongestWindowMs(toLimits({ startsPerSecond: 200 })), 60_000 + lingerMs);
    assert.equal(toLongestWindowMs(toLimits({ startsPerSecond: 5 }, { families })), 1_000_000 + lingerMs);
  });
});
