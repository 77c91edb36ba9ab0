// What happens in one simulated world, all of it drawn from its seed: the limits that GLM has and those that we know,
// the network, who calls how often, and what goes wrong when.

import type { AdmissionLimits, KeyLimits, ModelLimits } from "../../src/admission/scheduler.ts";
import { type TrafficClass, trafficClasses } from "../../src/base/principal.ts";
import type { Limits } from "../../src/simulator/judge.ts";
import type { Random } from "../../src/simulator/random.ts";

export interface Plan {
  readonly seed: number;
  /** Clients call until then; afterwards everything may come to its end. */
  readonly durationMs: number;
  /** GLM's own limits, for each key. */
  readonly truth: Limits;
  /** The same for tokens, of those calls that came within a minute; null: no limit. */
  readonly trueTokensPerMinute: number | null;
  readonly limits: AdmissionLimits;
  /** Our limits are GLM's or stricter all the time, so that it has no reason to refuse. */
  readonly isHonest: boolean;
  readonly network: Network;
  readonly users: readonly UserPlan[];
  readonly faults: readonly Fault[];
  readonly reloads: readonly { readonly at: number; readonly limits: AdmissionLimits }[];
}

export interface Network {
  readonly delayMs: number;
  /** How much longer than `delayMs` a message may take. Less than the guard. */
  readonly jitterMs: number;
  /** From an abort until GLM has noticed it, the way there included. Less than the linger. */
  readonly abortNoticeMs: number;
  /** Share of calls that open a connection first. */
  readonly coldShare: number;
}

export interface UserPlan {
  readonly userId: string;
  readonly weight: number;
  readonly class: TrafficClass;
  readonly models: readonly string[];
  readonly flowCount: number;
  /** lone: calls again some time after its answer · steady: at random times · bursts: many calls at once */
  readonly habit: "lone" | "steady" | "bursts";
  readonly meanPauseMs: number;
  readonly burstSize: number;
  readonly patienceMs: number | null;
  /** What it says at most; an answer has any number up to it. */
  readonly outputTokensMax: number;
  /** Share of its calls that it gives up at some moment. */
  readonly leavesShare: number;
  /** Tries of one call, the first included; each new one when it was told to come. */
  readonly triesMax: number;
  readonly slotMeanMs: number;
}

export type FaultKind =
  | "foreign_use"
  | "too_fast"
  | "overloaded"
  | "quota"
  | "account"
  | "barred"
  | "restricted"
  | "failed"
  | "unreachable"
  | "reset"
  | "slow"
  | "stall"
  | "fewer_slots";

export interface Fault {
  readonly kind: FaultKind;
  readonly from: number;
  readonly until: number;
  /** Share of calls that it hits. */
  readonly share: number;
  /** The key whose calls it hits, or those of all keys of its account where GLM counts by account. Null: all. */
  readonly key: string | null;
}

const faultKinds: readonly FaultKind[] = [
  "foreign_use",
  "too_fast",
  "overloaded",
  "quota",
  "account",
  "account",
  "barred",
  "restricted",
  "failed",
  "unreachable",
  "unreachable",
  "reset",
  "slow",
  "stall",
  "stall",
  "fewer_slots",
];
const models = ["glm-4.5-flash", "glm-4.7", "glm-5.2"];

export function drawPlan(seed: number, random: Random): Plan {
  const durationMs = random.pick([300_000, 600_000, 1_200_000]);
  const truth: Limits = {
    concurrencyMax: random.pick([null, 1, 2, 3, 5]),
    requestsPerSecond: random.pick([1, 2, 2, 3, 5]),
    windowMs: 1_000,
    releaseLagMs: 0,
    rateCode: random.pick(["1302", "1303"]),
  };
  const common = drawCommon(random);
  const faults = chance(random, 0.25) ? [] : drawFaults(durationMs, common, random);
  const knowsConcurrency = truth.concurrencyMax === null || chance(random, 0.85);
  const hasFewer = truth.concurrencyMax !== null && faults.some(({ kind }) => kind === "fewer_slots");
  const trueTokensPerMinute = random.pick([null, null, 3_000, 10_000]);
  const draw = () => drawLimits(truth, trueTokensPerMinute, knowsConcurrency, common, random);
  const reloadCount = chance(random, 0.4) ? 1 + random.below(4) : 0;
  const { sendGuardMs, abortLingerMs } = common;
  return {
    seed,
    durationMs,
    truth,
    trueTokensPerMinute,
    limits: draw(),
    isHonest: knowsConcurrency && !hasFewer,
    network: {
      delayMs: 5 + random.below(100),
      jitterMs: random.below(sendGuardMs),
      abortNoticeMs: random.below(abortLingerMs),
      coldShare: chance(random, 0.5) ? 0.2 : 0,
    },
    users: Array.from({ length: 2 + random.below(7) }, (_, index) => drawUser(index, truth, random)),
    faults,
    reloads: Array.from({ length: reloadCount }, () => ({ at: random.next() * durationMs, limits: draw() })),
  };
}

/** What stays through all reloads. */
interface CommonLimits extends Pick<AdmissionLimits, "sendGuardMs" | "abortLingerMs"> {
  readonly keyCount: number;
  /** The third key is of the first one's account. */
  readonly sharesAccount: boolean;
  readonly weights: readonly number[];
}

function drawCommon(random: Random): CommonLimits {
  return {
    sendGuardMs: random.pick([20, 50]),
    abortLingerMs: random.pick([200, 300, 1_000]),
    keyCount: random.pick([1, 1, 2, 2, 3, 4]),
    sharesAccount: chance(random, 0.5),
    weights: [1, 2, 3, 4].map(() => random.pick([1, 1, 2, 0.5])),
  };
}

/**
 * As strict as the truth or stricter, also while one gives way to another. That takes windows that nest into GLM's own
 * of a second: 2.5 calls a second are two in 0.8 s, and so up to four in a second.
 */
function drawLimits(
  truth: Limits,
  trueTokensPerMinute: number | null,
  knowsConcurrency: boolean,
  { keyCount, sharesAccount, weights, ...common }: CommonLimits,
  random: Random,
): AdmissionLimits {
  const trueRate = truth.requestsPerSecond ?? 100;
  const rate = chance(random, 0.6)
    ? trueRate
    : random.pick([0.5, 1, 2, 3].filter((lower) => lower < trueRate || lower === 0.5));
  const trueConcurrency = knowsConcurrency ? truth.concurrencyMax : null;
  const concurrency =
    trueConcurrency === null || chance(random, 0.6) ? trueConcurrency : 1 + random.below(trueConcurrency);
  const isPerModel = chance(random, 0.4);
  const tokensPerMinute =
    trueTokensPerMinute === null || chance(random, 0.7) ? trueTokensPerMinute : trueTokensPerMinute / 2;
  const key = (index: number): KeyLimits => ({
    name: nameKey(index),
    ...(sharesAccount && index === 2 && { account: nameKey(0) }),
    weight: weights[index] ?? 1,
    // The first serves all, so that there is a key for each call.
    models: index === 0 || chance(random, 0.5) ? null : [random.pick(models)],
    startsPerSecond: rate,
    concurrencyMax: isPerModel ? null : concurrency,
    tokensPerMinute,
  });
  const perModel: ModelLimits = {
    pattern: "*",
    startsPerSecond: null,
    concurrencyMax: concurrency,
    tokensPerMinute: null,
  };
  return {
    keys: Array.from({ length: keyCount }, (_, index) => key(index)),
    models: isPerModel ? [perModel] : [],
    user: {
      startsPerSecond: random.pick([null, null, null, 1, 2]),
      concurrencyMax: random.pick([null, null, null, 1, 2]),
      tokensPerMinute: null,
    },
    userQueueCapacity: random.pick([null, null, null, 2, 5]),
    queueCapacity: random.pick([0, 3, 20, 20, 50]),
    queueTimeoutMs: random.pick([5_000, 5_000, 20_000, 60_000]),
    refusesEarly: chance(random, 0.4),
    ...common,
  };
}

function drawUser(index: number, truth: Limits, random: Random): UserPlan {
  const habit = random.pick(["lone", "steady", "steady", "bursts"] as const);
  const slotMeanMs = random.pick([300, 1_000, 4_000]);
  // Together about what GLM can bear, so that some worlds are idle and some are overrun.
  const fairPauseMs = Math.max(1_000 / (truth.requestsPerSecond ?? 1), slotMeanMs / (truth.concurrencyMax ?? 10)) * 5;
  return {
    userId: `user-${index + 1}`,
    weight: random.pick([0.5, 1, 1, 1, 2, 4]),
    class: random.pick(trafficClasses),
    models: models.slice(0, 1 + random.below(models.length)),
    flowCount: 1 + random.below(3),
    habit,
    meanPauseMs: fairPauseMs * random.pick([0.5, 1, 2, 4]) * (habit === "bursts" ? 8 : 1),
    burstSize: habit === "bursts" ? 2 + random.below(15) : 1,
    patienceMs: random.pick([null, null, 8_000, 30_000]),
    outputTokensMax: random.pick([50, 200, 1_000]),
    leavesShare: random.pick([0, 0, 0.1, 0.3]),
    triesMax: random.pick([1, 3, 6]),
    slotMeanMs,
  };
}

function drawFaults(durationMs: number, { keyCount }: CommonLimits, random: Random): Fault[] {
  // One key at least is spared in some worlds, so that nobody need hear of the others' trouble.
  const hitCount = chance(random, 0.6) ? Math.max(1, keyCount - 1) : keyCount;
  return Array.from({ length: 1 + random.below(4) }, () => {
    const kind = random.pick(faultKinds);
    const from = random.next() * durationMs * 0.8;
    const lengthMs = kind === "stall" ? 50 + random.next() ** 3 * 20_000 : 5_000 + random.next() ** 2 * 120_000;
    const key = hitCount === keyCount && chance(random, 0.5) ? null : nameKey(keyCount - 1 - random.below(hitCount));
    return { kind, from, until: from + lengthMs, share: random.pick([0.1, 0.5, 0.9, 1]), key };
  });
}

function nameKey(index: number): string {
  return `key-${index + 1}`;
}

/** The account of a key, the same through all reloads. */
export function accountOf({ limits }: Plan, name: string): string {
  return limits.keys.find((key) => key.name === name)?.account ?? name;
}

export function chance(random: Random, share: number): boolean {
  return random.next() < share;
}

/** Exponential, so that arrivals are as independent of each other as they can be. */
export function drawPause(random: Random, meanMs: number): number {
  return -Math.log(1 - random.next()) * meanMs;
}
