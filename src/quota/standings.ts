// What stands under each limit of a scope: how much is used and reserved, what a call would add, and how much is left.

import type { QuotaScope } from "../base/charge.ts";
import { type LimitMetric, type LimitName, type LimitWindow, limitMetrics, limitWindows } from "../base/limits.ts";
import type { Amounts, Counters, Tally } from "./counters.ts";
import type { Room } from "./estimate.ts";
import type { QuotaStanding } from "./quotas.ts";
import type { Windows } from "./windows.ts";

/** A limit that a call would exceed. */
export interface Hit {
  readonly standing: QuotaStanding;
  /** In the limit's unit. */
  readonly needed: number;
}

interface Parts {
  readonly metric: LimitMetric;
  readonly window: LimitWindow;
}

const warningShare = 0.8;
const partsByName: ReadonlyMap<string, Parts> = new Map(
  limitMetrics.flatMap((metric) => limitWindows.map((window) => [`${metric}/${window}`, { metric, window }] as const)),
);

/** For a call that arrived then (`Clock.now`). Counters are left out where nothing was taken. */
export function listStandings(
  { kind, id, limits }: QuotaScope,
  counters: Counters | undefined,
  windows: Windows,
  arrivedAt: number,
): QuotaStanding[] {
  return Object.entries(limits).map(([text, limit]): QuotaStanding => {
    const name = text as LimitName;
    const parts = partsByName.get(name);
    if (!parts) return { scope: kind, id, name, limit, used: counters?.inFlight ?? 0, reserved: 0, resetsAt: null };
    const { metric, window } = parts;
    const [used, reserved] = read(counters?.find(window, windows, arrivedAt) ?? null, metric);
    const resetsAt = window === "total" ? null : windows[window].endsAt;
    return { scope: kind, id, name, limit, used, reserved, resetsAt };
  });
}

/** What is left under all limits of tokens and money. */
export function findRoom(standings: readonly QuotaStanding[]): Room {
  const room = { tokens: Number.POSITIVE_INFINITY, costMicros: Number.POSITIVE_INFINITY };
  for (const { name, limit, used, reserved } of standings) {
    const metric = partsByName.get(name)?.metric;
    if (metric === "tokens") room.tokens = Math.min(room.tokens, limit - used - reserved);
    if (metric === "cost") room.costMicros = Math.min(room.costMicros, toWhole(limit) - toWhole(used + reserved));
  }
  return room;
}

/** The limits that a call would exceed which may take so much. */
export function listHits(standings: readonly QuotaStanding[], amounts: Amounts): Hit[] {
  return standings.flatMap((standing): Hit[] => {
    const { limit, used, reserved } = standing;
    const needed = neededOf(standing, amounts);
    // A budget that is used up takes nothing more, not even what costs nothing.
    const isUsedUp = toWhole(used + reserved) >= toWhole(limit);
    return isUsedUp || toWhole(used + reserved + needed) > toWhole(limit) ? [{ standing, needed }] : [];
  });
}

/** The limits of which at least 80 % are taken once the call has reserved so much, the fullest first. */
export function listWarnings(standings: readonly QuotaStanding[], amounts: Amounts): QuotaStanding[] {
  return standings
    .map((standing) => take(standing, neededOf(standing, amounts)))
    .filter(({ used, reserved, limit }) => used + reserved >= limit * warningShare)
    .sort((a, b) => (b.used + b.reserved) / b.limit - (a.used + a.reserved) / a.limit);
}

function take(standing: QuotaStanding, needed: number): QuotaStanding {
  return standing.name === "concurrency"
    ? { ...standing, used: standing.used + needed }
    : { ...standing, reserved: standing.reserved + needed };
}

function neededOf({ name }: QuotaStanding, amounts: Amounts): number {
  const metric = partsByName.get(name)?.metric;
  if (metric === undefined) return 1;
  return metric === "cost" ? amounts.costMicros / 1e6 : amounts[metric];
}

/** Used and reserved: money in the currency, the rest in pieces. */
function read(tally: Tally | null, metric: LimitMetric): readonly [used: number, reserved: number] {
  if (!tally) return [0, 0];
  if (metric === "requests") return [tally.requests, tally.reservedRequests];
  if (metric === "tokens") return [tally.tokens, tally.reservedTokens];
  return [tally.costMicros / 1e6, tally.reservedCostMicros / 1e6];
}

/** Compared in millionths: sums of fractions are not exact otherwise. */
function toWhole(amount: number): number {
  return Math.round(amount * 1e6);
}
