// The limits of the simulated GLM and the judgement on whoever exceeds them: an exact sliding window of arrivals per
// account, and calls in flight per account and model. A key is an account of its own unless it is told to share one. A
// call that is refused counts towards neither.
//
//   head arrives ──── body read ──── answer ──── end or close ──── + release lag
//   └ judged: rate    └ judged: concurrency, for the whole time since the head
//   └──────────────────────── in flight ─────────────────────────────────┘

import type { Clock } from "../base/clock.ts";

export interface Limits {
  /** Calls in flight per account and model; null: no limit. */
  readonly concurrencyMax: number | null;
  /** Arrivals per account in any `windowMs`, as a rate; null: no limit. 0.5 is one in two seconds. */
  readonly requestsPerSecond: number | null;
  readonly windowMs: number;
  /** How long a call counts as in flight after its end. */
  readonly releaseLagMs: number;
  /** GLM's code for too many arrivals; older accounts see 1303. */
  readonly rateCode: "1302" | "1303";
}

export interface Violation {
  readonly kind: "rate" | "concurrency";
  /** When the head of the call arrived. */
  readonly at: number;
  /** Masked. */
  readonly key: string;
  readonly model: string;
  readonly observed: number;
  readonly limit: number;
}

/** The calls of one model on one account. */
export interface LaneCount {
  /** The key by which the account was used first, masked. */
  readonly key: string;
  /** Masked like a key if it is named after one. */
  readonly account: string;
  readonly model: string;
  readonly inFlight: number;
  readonly inFlightMax: number;
}

/** Whom a key belongs to, and what holds for it alone. */
export interface Accounts {
  /** The account that a key belongs to. Default: each to its own. */
  readonly accountOf?: (keyId: string) => string;
  /** By the key's id, limits that replace the general ones. */
  readonly limitsByKey?: Readonly<Record<string, Partial<Limits>>>;
}

export interface Judge {
  /** The head of a call has arrived. */
  arrive(keyId: string): Visit;
  /** A call that does no work: it is counted, in a lane of its own, and never refused. The returned function ends it. */
  arriveToRead(keyId: string): () => void;
  /** For all keys, or for one alone. */
  setLimits(changed: Partial<Limits>, keyId?: string): void;
  /** The oldest first. */
  readonly violations: readonly Violation[];
  /** Violations in all, those beyond the bound of the list included. */
  readonly violationCount: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly lanes: readonly LaneCount[];
  /** Forgets what was; what is in flight stays so. */
  reset(): void;
}

/** One call, from its head to its end. */
export interface Visit {
  /** Its model is known, or null when it names none. Null: it may run. Otherwise GLM's code of the refusal. */
  enter(model: string | null): "1302" | "1303" | null;
  /** It has ended. May be called at any time, repeatedly. */
  leave(): void;
}

interface Lane {
  readonly keyId: string;
  readonly account: string;
  readonly model: string;
  inFlight: number;
  inFlightMax: number;
}

interface Pending {
  readonly account: string;
  /** By model, the most that were in flight since the head of this call. */
  readonly peaks: Map<string, number>;
}

const violationsMax = 10_000;
/** More lanes than that, and the idle ones are forgotten. */
const lanesMax = 1_000;
/** What the lane of calls that do no work is called. */
export const readsLane = "(reads)";

export function createJudge(
  initial: Limits,
  clock: Clock,
  maskKeyId: (keyId: string) => string,
  { accountOf = (keyId) => keyId, limitsByKey = {} }: Accounts = {},
): Judge {
  let general = initial;
  const ownLimits = new Map(Object.entries(limitsByKey));
  let violations: Violation[] = [];
  let violationCount = 0;
  let inFlight = 0;
  let inFlightMax = 0;
  const arrivals = new Map<string, number[]>();
  const lanes = new Map<string, Lane>();
  const pendings = new Set<Pending>();

  const limitsOf = (keyId: string): Limits => ({ ...general, ...ownLimits.get(keyId) });

  function arrive(keyId: string): Visit {
    const at = clock.now();
    const account = accountOf(keyId);
    const rate = countArrivals(account, limitsOf(keyId), at);
    const isRateFine = rate.observed <= rate.limit;
    if (isRateFine) arrivals.set(account, [...rate.recent, at]);
    const pending: Pending = { account, peaks: countLanes(account) };
    pendings.add(pending);
    let lane: Lane | null = null;
    let hasLeft = false;

    function enter(model: string | null): "1302" | "1303" | null {
      pendings.delete(pending);
      const limits = limitsOf(keyId);
      const others =
        model === null ? 0 : Math.max(pending.peaks.get(model) ?? 0, findLane(account, model)?.inFlight ?? 0);
      const max = limits.concurrencyMax ?? Number.POSITIVE_INFINITY;
      const isConcurrencyFine = model === null || others < max;
      const facts = { at, key: maskKeyId(keyId), model: model ?? "" };
      if (!isRateFine) judge({ kind: "rate", ...facts, observed: rate.observed, limit: rate.limit });
      if (!isConcurrencyFine) judge({ kind: "concurrency", ...facts, observed: others + 1, limit: max });
      if (!isRateFine) return limits.rateCode;
      if (!isConcurrencyFine) return "1302";
      if (model !== null && !hasLeft) lane = occupy(keyId, model);
      return null;
    }

    function leave(): void {
      hasLeft = true;
      pendings.delete(pending);
      const left = lane;
      lane = null;
      if (!left) return;
      const { releaseLagMs } = limitsOf(keyId);
      if (releaseLagMs > 0) clock.after(releaseLagMs, () => vacate(left));
      else vacate(left);
    }

    return { enter, leave };
  }

  function arriveToRead(keyId: string): () => void {
    const lane = countIn(keyId, readsLane);
    let hasLeft = false;
    return () => {
      if (!hasLeft) lane.inFlight--;
      hasLeft = true;
    };
  }

  function countArrivals(
    account: string,
    { requestsPerSecond: rate, windowMs: lengthMs }: Limits,
    now: number,
  ): { recent: number[]; observed: number; limit: number } {
    if (rate === null) return { recent: [], observed: 0, limit: Number.POSITIVE_INFINITY };
    // A window holds whole arrivals: it is as long as the rate needs for them.
    const limit = rate === 0 ? 0 : Math.max(1, Math.floor((rate * lengthMs) / 1_000));
    const windowMs = (limit / rate) * 1_000;
    const recent = (arrivals.get(account) ?? []).filter((at) => now - at < windowMs);
    return { recent, observed: recent.length + 1, limit };
  }

  function countLanes(account: string): Map<string, number> {
    const own = [...lanes.values()].filter((lane) => lane.account === account);
    return new Map(own.map(({ model, inFlight }) => [model, inFlight]));
  }

  function findLane(account: string, model: string): Lane | undefined {
    return lanes.get(`${account} ${model}`);
  }

  function occupy(keyId: string, model: string): Lane {
    const lane = countIn(keyId, model);
    inFlight++;
    inFlightMax = Math.max(inFlightMax, inFlight);
    for (const { account, peaks } of pendings) {
      if (account === lane.account) peaks.set(model, Math.max(peaks.get(model) ?? 0, lane.inFlight));
    }
    return lane;
  }

  function countIn(keyId: string, model: string): Lane {
    const account = accountOf(keyId);
    const lane = findLane(account, model) ?? { keyId, account, model, inFlight: 0, inFlightMax: 0 };
    if (lanes.size >= lanesMax) forgetIdleLanes();
    lanes.set(`${account} ${model}`, lane);
    lane.inFlight++;
    lane.inFlightMax = Math.max(lane.inFlightMax, lane.inFlight);
    return lane;
  }

  function forgetIdleLanes(): void {
    for (const [name, lane] of lanes) {
      if (lane.inFlight === 0) lanes.delete(name);
    }
  }

  function vacate(lane: Lane): void {
    lane.inFlight--;
    inFlight--;
  }

  function judge(violation: Violation): void {
    violationCount++;
    if (violations.length < violationsMax) violations.push(violation);
  }

  return {
    arrive,
    arriveToRead,
    setLimits(changed, keyId) {
      if (keyId === undefined) general = { ...general, ...changed };
      else ownLimits.set(keyId, { ...ownLimits.get(keyId), ...changed });
    },
    get violations() {
      return violations;
    },
    get violationCount() {
      return violationCount;
    },
    get inFlight() {
      return inFlight;
    },
    get inFlightMax() {
      return inFlightMax;
    },
    get lanes() {
      return Array.from(lanes.values(), ({ keyId, account, ...count }) => ({
        key: maskKeyId(keyId),
        account: account === keyId ? maskKeyId(keyId) : account,
        ...count,
      }));
    },
    reset() {
      violations = [];
      violationCount = 0;
      inFlightMax = inFlight;
      arrivals.clear();
      forgetIdleLanes();
      for (const lane of lanes.values()) lane.inFlightMax = lane.inFlight;
    },
  };
}
