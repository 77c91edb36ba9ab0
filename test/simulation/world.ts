// One whole world from one seed: clients, the gateway's scheduler, the network and GLM, until nobody is left; then the
// account of it. Everything is drawn from the seed, so a world can be lived through again.

import assert from "node:assert/strict";
import type { OfferedCall } from "../../src/admission/core.ts";
import { toWindowLimits } from "../../src/admission/window-log.ts";
import { createRandom, type Random } from "../../src/simulator/random.ts";
import { type Counts, type Outcome, SimulatedGateway } from "./gateway.ts";
import { chance, drawPause, drawPlan, type FaultKind, type Plan, type UserPlan } from "./plan.ts";
import { Timeline } from "./timeline.ts";
import { hits, Upstream } from "./upstream.ts";

export interface WorldReport {
  readonly plan: Plan;
  readonly counts: Counts;
  readonly violationCount: number;
  /** Virtual time until the last event. */
  readonly elapsedMs: number;
  readonly outcomes: ReadonlyMap<string, UserOutcome>;
}

export interface UserOutcome {
  calls: number;
  served: number;
  left: number;
  refused: number;
  failed: number;
}

/** What a client waits for when it is told nothing. */
const retryAfterDefaultMs = 2_000;
/** After the clients' last call, what is learned and blocked must be over at the latest then. */
const recoveryMaxMs = 2 * 3_600_000;
/** Of fewer calls, all may have met a full queue or lost their patience. */
const fairCallsMin = 10;
const classWeights = { interactive: 16, default: 4, batch: 1 };
const reasonsAtFirst = ["queue_full", "user_queue_full", "wait_too_long", "queue_timeout"];
/** What the upstream said last, when there was no time for another try: who was let in once is not put out. */
/** What a block says to those who can't outlive it. */
const reasonsByFault: Partial<Record<FaultKind, string>> = {
  quota: "upstream_quota",
  account: "upstream_account",
  barred: "upstream_account",
  restricted: "upstream_account",
  unreachable: "upstream_failed",
  reset: "upstream_failed",
};
const troublesOfKeys = ["account", "model_barred", "quota", "restricted", "failed", "overloaded", "unreachable"];
const reasonsOfKeys = ["upstream_account", "upstream_quota", "upstream_failed", "upstream_busy"];
const reasonsOnceRefused = ["upstream_rate_limited", "upstream_busy", "upstream_failed"];

/** Lives through the world of a seed. Throws when a promise was broken; the message names the seed. */
export function liveThrough(seed: number): WorldReport {
  try {
    return simulate(seed);
  } catch (error) {
    throw new Error(`the world of seed ${seed} broke a promise: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

function simulate(seed: number): WorldReport {
  const random = createRandom(seed);
  const plan = drawPlan(seed, random);
  const timeline = new Timeline(random);
  const upstream = new Upstream(plan, timeline, random);
  const gateway = new SimulatedGateway(plan, timeline, upstream, random);
  const outcomes = new Map<string, UserOutcome>();
  let callCount = 0;

  function call(user: UserPlan, triesLeft: number, retryCount: number, onEnd: (outcome: Outcome) => void): void {
    const offered: OfferedCall = {
      callId: `call-${++callCount}`,
      userId: user.userId,
      weight: user.weight,
      class: user.class,
      flowId: `flow-${random.below(user.flowCount)}`,
      model: random.pick(user.models),
      patienceMs: user.patienceMs,
      inputBytes: 200,
      outputTokensMax: user.outputTokensMax,
      retryCount,
      place: null,
    };
    const outcomesOfUser = outcomes.get(user.userId) ?? { calls: 0, served: 0, left: 0, refused: 0, failed: 0 };
    outcomes.set(user.userId, outcomesOfUser);
    outcomesOfUser.calls++;
    let isOver = false;
    const leave = gateway.call({
      offered,
      slotMeanMs: user.slotMeanMs,
      done(outcome) {
        isOver = true;
        outcomesOfUser[outcome.kind]++;
        const retryAfterMs = toRetryAfter(outcome);
        if (retryAfterMs === null || triesLeft <= 1) onEnd(outcome);
        else timeline.after(retryAfterMs, () => call(user, triesLeft - 1, retryCount + 1, onEnd));
      },
    });
    const leavesAfterMs = chance(random, user.leavesShare) ? random.next() * 5_000 : user.patienceMs;
    if (leavesAfterMs !== null && !isOver) timeline.after(leavesAfterMs, leave);
  }

  for (const user of plan.users) settleIn(user, plan, timeline, random, (onEnd) => call(user, user.triesMax, 0, onEnd));
  timeline.run();
  assertAllIsOver(gateway, upstream, timeline.now());
  assertRefusals(plan, gateway.counts);
  assertFailOver(plan, gateway.counts);
  assertShares(plan, outcomes);
  assertSpacing(plan, gateway);
  // Whatever went wrong, after some time a patient newcomer is served again.
  const startedAt = timeline.now();
  const newcomer = { ...(plan.users[0] as UserPlan), userId: "newcomer", patienceMs: null, leavesShare: 0 };
  let isServed = false;
  call(newcomer, Number.POSITIVE_INFINITY, 0, () => {
    isServed = true;
  });
  while (!isServed && timeline.now() - startedAt < recoveryMaxMs && timeline.run(timeline.now() + 60_000));
  assert.ok(isServed, `nobody is served ${recoveryMaxMs} ms after everything was in order again`);
  timeline.run();
  assertAllIsOver(gateway, upstream, timeline.now());
  const violationCount = upstream.judge.violationCount;
  if (plan.isHonest) assert.equal(violationCount, 0, `GLM counted ${JSON.stringify(upstream.judge.violations[0])}`);
  const { trueTokensPerMinute } = plan;
  const tokensMax = trueTokensPerMinute ?? Number.POSITIVE_INFINITY;
  assert.ok(upstream.tokensMax <= tokensMax, `GLM counted ${upstream.tokensMax} tokens in a minute`);
  return { plan, counts: gateway.counts, violationCount, elapsedMs: timeline.now(), outcomes };
}

/** Null: it needs no other try, or may not have one. */
function toRetryAfter(outcome: Outcome): number | null {
  if (outcome.kind === "refused") return outcome.no.facts.retryAfterMs ?? retryAfterDefaultMs;
  return outcome.kind === "failed" ? retryAfterDefaultMs : null;
}

/** Lets a user call by its habit until the world's end. */
function settleIn(
  user: UserPlan,
  plan: Plan,
  timeline: Timeline,
  random: Random,
  call: (onEnd: (outcome: Outcome) => void) => void,
): void {
  const next = () => {
    const pauseMs = drawPause(random, user.meanPauseMs);
    if (timeline.now() + pauseMs < plan.durationMs) timeline.after(pauseMs, visit);
  };
  const visit = () => {
    if (user.habit === "lone") {
      call(next);
      return;
    }
    for (let count = 0; count < user.burstSize; count++) call(() => {});
    next();
  };
  next();
}

function assertAllIsOver({ core, counts }: SimulatedGateway, upstream: Upstream, now: number): void {
  assert.equal(counts.grants, counts.releases, "each grant is released once");
  assert.equal(upstream.judge.inFlight, 0, "nothing runs at GLM any more");
  const { waiting, running, lanes, users } = core.gauges(now);
  assert.deepEqual({ waiting, running }, { waiting: 0, running: 0 });
  for (const lane of lanes) assert.equal(lane.running, 0, `calls that run on ${lane.upstreamKey} ${lane.model}`);
  for (const user of users) assert.deepEqual([user.waiting, user.running], [0, 0], `calls of ${user.userId}`);
}

function assertRefusals(plan: Plan, counts: Counts): void {
  const ofFaults = plan.faults.flatMap(({ kind }) => reasonsByFault[kind] ?? []);
  const atFirst = new Set([...reasonsAtFirst, ...ofFaults]);
  for (const reason of counts.refusals.keys()) assert.ok(atFirst.has(reason), `somebody was refused with ${reason}`);
  // Who was passed on to another key waits for that, and hears of nothing else.
  const later = new Set([
    ...reasonsOnceRefused,
    ...ofFaults,
    ...(plan.limits.keys.length > 1 ? ["queue_timeout"] : []),
  ]);
  for (const reason of counts.lateRefusals.keys()) {
    assert.ok(later.has(reason), `somebody whom the upstream had refused was refused with ${reason}`);
  }
}

/** While a key serves all that come, nobody hears of the others' trouble. */
function assertFailOver(plan: Plan, counts: Counts): void {
  const all = [plan.limits, ...plan.reloads.map(({ limits }) => limits)];
  const isSpared = (name: string) =>
    !plan.faults.some((fault) => hits(plan, fault, name)) &&
    all.every(({ keys }) => keys.find((key) => key.name === name)?.models === null);
  if (!plan.limits.keys.some(({ name }) => isSpared(name))) return;
  for (const kind of counts.failures.keys()) {
    assert.ok(!troublesOfKeys.includes(kind), `somebody heard of ${kind} although another key served`);
  }
  for (const refusals of [counts.refusals, counts.lateRefusals]) {
    for (const reason of refusals.keys()) {
      assert.ok(!reasonsOfKeys.includes(reason), `somebody was refused with ${reason} although another key served`);
    }
  }
}

/**
 * While limits stay and GLM refuses none for them, no stretch of time holds more starts on an account than its share, a window's when the first of
 * them did not have to wait, or what is made up for when it had.
 */
function assertSpacing({ limits, reloads }: Plan, { starts, counts: { verdicts } }: SimulatedGateway): void {
  const rate = limits.keys[0]?.startsPerSecond ?? null;
  if (rate === null || reloads.length > 0 || verdicts.has("over_limit") || verdicts.has("too_fast")) return;
  const { startsMax, windowMs } = toWindowLimits(rate, limits.sendGuardMs);
  const spacingMs = windowMs / startsMax;
  const sent = starts.filter(({ isSent }) => isSent);
  for (const ofAccount of Map.groupBy(sent, ({ account }) => account).values()) {
    /** How far the slots of those so far may be behind their starts, at most: what the next ones have to keep to. */
    let latestMs = Number.POSITIVE_INFINITY;
    for (const [index, { at, hasWaited }] of ofAccount.entries()) {
      const behindMs = index * spacingMs - at;
      assert.ok(behindMs <= latestMs + 1e-6, `a start at ${at} came ${behindMs - latestMs} ms before its slot`);
      latestMs = Math.min(latestMs, behindMs + (hasWaited ? windowMs / 10 : windowMs - spacingMs));
    }
  }
}

/** Where nothing goes wrong and the queue is no bottleneck, who asks for its share or more gets some of it. */
function assertShares(
  { users, faults, reloads, limits, durationMs }: Plan,
  outcomes: ReadonlyMap<string, UserOutcome>,
) {
  const { queueCapacity, queueTimeoutMs, keys } = limits;
  if (faults.length > 0 || reloads.length > 0 || queueCapacity < 20 || queueTimeoutMs < 20_000) return;
  // Where tokens are short, a call may have to wait for a minute, and its user may not want to.
  if (keys.some(({ tokensPerMinute }) => tokensPerMinute !== null)) return;
  const slotMs = Math.max(...users.map(({ slotMeanMs }) => slotMeanMs)) * 2;
  const concurrencyMax = (limits.models[0] ?? keys[0])?.concurrencyMax ?? Number.POSITIVE_INFINITY;
  const startsPerMs = Math.min((keys[0]?.startsPerSecond ?? 1) / 1_000, concurrencyMax / slotMs);
  for (const user of users) {
    const { calls, served, left } = outcomes.get(user.userId) ?? { calls: 0, served: 0, left: 0 };
    const ofClass = users.filter((other) => other.class === user.class);
    const classShare = classWeights[user.class] / Object.values(classWeights).reduce((sum, weight) => sum + weight, 0);
    const share = (classShare * user.weight) / ofClass.reduce((sum, other) => sum + other.weight, 0);
    const owed = share * startsPerMs * durationMs;
    if (owed < fairCallsMin || calls - left < 2 * fairCallsMin) continue;
    assert.ok(served > 0, `${user.userId} called ${calls} times, was owed ${owed}, and never served`);
  }
}
