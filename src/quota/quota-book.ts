// Quotas in memory. Everybody is counted, limited or not, so that a limit that is set later counts what was taken
// before; what is reserved and what is charged are in the same counters, so that calls at once can't overrun a limit.

import type { Charge, QuotaScope } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import { type LimitMetric, type LimitName, type LimitWindow, limitWindows } from "../base/limits.ts";
import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import { type Amounts, Counters } from "./counters.ts";
import { estimateCharge, type Room } from "./estimate.ts";
import { formatLocalTime } from "./local-time.ts";
import type { Prices } from "./prices.ts";
import type { QuotaStanding, Quotas, QuotaWish, Reservation } from "./quotas.ts";
import { createWindows, type Days, listStarts, type Windows } from "./windows.ts";

export interface QuotaBook extends Quotas {
  /** Calls that have reserved and not settled. */
  readonly pendingCount: number;
  /** Where each window began, to sum records from: null for `total`. */
  listStarts(): readonly (readonly [LimitWindow, number | null])[];
  /** Adds what calls before this process took. Once for each window, before the first call. */
  restore(window: LimitWindow, sums: readonly ScopeSum[]): void;
  /** The largest difference between the counters and what the records say, of calls that have ended. */
  findDrift(window: LimitWindow, sums: readonly ScopeSum[]): number;
}

/** What calls of one user with one key took together. */
export interface ScopeSum extends Amounts {
  readonly user: string;
  readonly group: string | null;
  readonly keyId: string | null;
}

export interface QuotaBookOptions {
  readonly clock: Clock;
  readonly days: Days;
  readonly timeZone: string;
  /** Asked for each call, so that a reload counts at once. */
  assumedOutputTokens(): number;
  prices(): Prices;
}

/** More than people, groups and keys there can be (people-service.ts). Beyond, those who take nothing now are forgotten. */
const countersMax = 400_000;
const warningShare = 0.8;
/** A place is free when one of the caller's own calls ends, which nobody knows. */
const concurrencyRetryMs = 1_000;

export function createQuotas({ clock, days, timeZone, assumedOutputTokens, prices }: QuotaBookOptions): QuotaBook {
  const windowsAt = createWindows(days);
  const known = new Map<string, Counters>();
  let pendingCount = 0;

  function find(kind: QuotaScope["kind"], id: string, windows: Windows): Counters {
    const name = `${kind} ${id}`;
    const counters = known.get(name);
    if (counters) {
      counters.roll(windows);
      return counters;
    }
    if (known.size >= countersMax) forgetOne();
    const fresh = new Counters(windows);
    known.set(name, fresh);
    return fresh;
  }

  function forgetOne(): void {
    for (const [name, { inFlight }] of known) {
      if (inFlight > 0) continue;
      known.delete(name);
      return;
    }
  }

  function reserve(caller: Caller, wish: QuotaWish): Reservation {
    const windows = windowsAt(clock.wallNow());
    const limited = caller.scopes.map((scope) => ({ scope, counters: find(scope.kind, scope.id, windows) }));
    const room = limited.reduce(narrowRoom, noBound);
    const estimate = estimateCharge(wish, assumedOutputTokens(), room, prices());
    const amounts = toAmounts(estimate);
    const hit = limited.flatMap(({ scope, counters }) => listHit(scope, counters, amounts, windows));
    if (hit.length > 0) throw toRefusal(hit);

    const counted = [
      find("user", caller.userId, windows),
      ...(caller.groupId === null ? [] : [find("group", caller.groupId, windows)]),
      ...(caller.keyId === null ? [] : [find("key", caller.keyId, windows)]),
    ];
    const settlers = counted.map((counters) => counters.reserve(amounts));
    let isSettled = false;
    pendingCount++;
    return {
      estimate,
      warnings: limited
        .flatMap(({ scope, counters }) => list(scope, counters, windows))
        .filter(({ used, reserved, limit }) => used + reserved >= limit * warningShare)
        .sort((a, b) => fill(b) - fill(a)),
      settle(charge) {
        if (isSettled) return;
        isSettled = true;
        pendingCount--;
        for (const settle of settlers) settle(toAmounts(charge));
      },
    };
  }

  function list({ kind, id, limits }: QuotaScope, counters: Counters, windows: Windows): QuotaStanding[] {
    return Object.entries(limits).map(([text, limit]): QuotaStanding => {
      const name = text as LimitName;
      if (name === "concurrency") {
        return { scope: kind, id, name, limit, used: counters.inFlight, reserved: 0, resetsAt: null };
      }
      const { metric, window } = parseName(name);
      const used = inUnit(counters.used(window), metric);
      const reserved = inUnit(counters.reserved(window), metric);
      const resetsAt = window === "total" ? null : windows[window].endsAt;
      return { scope: kind, id, name, limit, used, reserved, resetsAt };
    });
  }

  /** The limits that the call would exceed. */
  function listHit(scope: QuotaScope, counters: Counters, amounts: Amounts, windows: Windows): Hit[] {
    return list(scope, counters, windows).flatMap((standing): Hit[] => {
      const { name, limit, used, reserved } = standing;
      if (name === "concurrency") return used + 1 > limit ? [{ standing, needed: 1 }] : [];
      const needed = inUnit(amounts, parseName(name).metric);
      // A budget that is used up takes nothing more, not even what costs nothing.
      const isUsedUp = used + reserved >= limit;
      return isUsedUp || toWhole(used + reserved + needed) > toWhole(limit) ? [{ standing, needed }] : [];
    });
  }

  function toRefusal(hit: readonly Hit[]): Refusal {
    // Coming back before the last of them is renewed would be in vain.
    const [last] = hit.toSorted((a, b) => endOf(b.standing) - endOf(a.standing)) as [Hit];
    const { standing, needed } = last;
    const { scope, id, name, limit, used, reserved, resetsAt } = standing;
    const quota = `${name} of the ${scope} ${id}`;
    const taken = toShown(used + reserved);
    if (name === "concurrency") {
      return new Refusal("concurrency_exceeded", { quota, limit, used: taken, retryAfterMs: concurrencyRetryMs });
    }
    return new Refusal("insufficient_quota", {
      quota,
      limit,
      used: taken,
      ...(used + reserved < limit && { needed: toShown(needed) }),
      ...(resetsAt !== null && {
        resetsAt: formatLocalTime(resetsAt, timeZone),
        retryAfterMs: Math.max(1, resetsAt - clock.wallNow()),
      }),
    });
  }

  /** Adds up by user, group and key what comes by all three. */
  function sumByScope(sums: readonly ScopeSum[]): Map<string, Amounts> {
    const totals = new Map<string, Amounts>();
    const add = (name: string, { requests, tokens, costMicros }: Amounts) => {
      const before = totals.get(name) ?? { requests: 0, tokens: 0, costMicros: 0 };
      totals.set(name, {
        requests: before.requests + requests,
        tokens: before.tokens + tokens,
        costMicros: before.costMicros + costMicros,
      });
    };
    for (const sum of sums) {
      add(`user ${sum.user}`, sum);
      if (sum.group !== null) add(`group ${sum.group}`, sum);
      if (sum.keyId !== null) add(`key ${sum.keyId}`, sum);
    }
    return totals;
  }

  return {
    get pendingCount() {
      return pendingCount;
    },
    reserve,
    look(scopes) {
      const windows = windowsAt(clock.wallNow());
      return scopes.flatMap((scope) => list(scope, find(scope.kind, scope.id, windows), windows));
    },
    listStarts: () => listStarts(windowsAt(clock.wallNow())),
    restore(window, sums) {
      const windows = windowsAt(clock.wallNow());
      for (const [name, amounts] of sumByScope(sums)) {
        const [kind = "", ...id] = name.split(" ");
        find(kind as QuotaScope["kind"], id.join(" "), windows).restore(window, amounts);
      }
    },
    findDrift(window, sums) {
      const windows = windowsAt(clock.wallNow());
      const totals = sumByScope(sums);
      let largest = 0;
      for (const [name, counters] of known) {
        counters.roll(windows);
        const used = counters.used(window);
        const recorded = totals.get(name) ?? { requests: 0, tokens: 0, costMicros: 0 };
        for (const metric of ["requests", "tokens", "costMicros"] as const) {
          largest = Math.max(largest, Math.abs(used[metric] - recorded[metric]));
        }
      }
      return largest;
    },
  };
}

interface Hit {
  readonly standing: QuotaStanding;
  readonly needed: number;
}

const noBound: Room = { tokens: Number.POSITIVE_INFINITY, costMicros: Number.POSITIVE_INFINITY };

function narrowRoom(room: Room, { scope, counters }: { scope: QuotaScope; counters: Counters }): Room {
  let { tokens, costMicros } = room;
  for (const window of limitWindows) {
    const { [`tokens/${window}` as const]: tokensMax, [`cost/${window}` as const]: costMax } = scope.limits;
    const [used, reserved] = [counters.used(window), counters.reserved(window)];
    if (tokensMax !== undefined) tokens = Math.min(tokens, tokensMax - used.tokens - reserved.tokens);
    if (costMax !== undefined) {
      costMicros = Math.min(costMicros, costMax * 1e6 - used.costMicros - reserved.costMicros);
    }
  }
  return { tokens, costMicros };
}

function parseName(name: Exclude<LimitName, "concurrency">): { metric: LimitMetric; window: LimitWindow } {
  const [metric, window] = name.split("/");
  return { metric: metric as LimitMetric, window: window as LimitWindow };
}

function toAmounts({ requests, promptTokens, completionTokens, costMicros }: Charge): Amounts {
  return { requests, tokens: promptTokens + completionTokens, costMicros };
}

/** Money in the currency, the rest in pieces. */
function inUnit(amounts: Amounts, metric: LimitMetric): number {
  return metric === "cost" ? amounts.costMicros / 1e6 : amounts[metric];
}

/** Compared in millionths: sums of fractions are not exact otherwise. */
function toWhole(amount: number): number {
  return Math.round(amount * 1e6);
}

function toShown(amount: number): number {
  return Math.round(amount * 1e4) / 1e4;
}

function endOf({ name, resetsAt }: QuotaStanding): number {
  if (name === "concurrency") return Number.NEGATIVE_INFINITY;
  return resetsAt ?? Number.POSITIVE_INFINITY;
}

function fill({ used, reserved, limit }: QuotaStanding): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : (used + reserved) / limit;
}
