// Quotas in memory. What is reserved and what is charged are in the same counters, so that calls at once can't overrun
// a limit: all limits of a call are looked at, then all are taken, with nothing in between.

import { type Charge, noCharge, type QuotaScope } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import type { LimitWindow } from "../base/limits.ts";
import type { Caller } from "../base/principal.ts";
import type { TokenRatios } from "../base/token-ratios.ts";
import { CounterTable, type ScopeName, type ScopeSum } from "./counter-table.ts";
import { type Amounts, nothing } from "./counters.ts";
import { estimateCharge } from "./estimate.ts";
import { createLocalTime } from "./local-time.ts";
import type { Prices } from "./prices.ts";
import { toQuotaRefusal } from "./quota-refusal.ts";
import type { QuotaStanding, Quotas, QuotaWish, Reservation } from "./quotas.ts";
import { findRoom, listHits, listStandings, listWarnings } from "./standings.ts";
import { createWindows, type Days, listStarts, type Windows } from "./windows.ts";

export type { ScopeName, ScopeSum } from "./counter-table.ts";

export interface QuotaBook extends Quotas {
  /** Calls that have reserved and not settled. */
  readonly pendingCount: number;
  /** Where each window began, to sum records from: null for `total`. */
  listStarts(): readonly (readonly [LimitWindow, number | null])[];
  /**
   * Adds what calls before this process took: the sums from the start that was listed last. Once for each window,
   * before the first call. A window that has ended since is left as it is. `only`: nothing but this scope, which is not
   * counted yet, such as a user whose name was another's before.
   */
  restore(window: LimitWindow, sums: readonly ScopeSum[], only?: ScopeName): void;
  counts(scope: ScopeName): boolean;
  /** Forgets what nobody asks for any more: to be called now and then. */
  sweep(): void;
  /**
   * The largest difference between the counters and what the records say, of calls that have ended; 0 for a window
   * that has ended since its start was listed.
   */
  findDrift(window: LimitWindow, sums: readonly ScopeSum[]): number;
}

export interface QuotaBookOptions {
  readonly clock: Clock;
  readonly days: Days;
  readonly timeZone: string;
  /** Asked for each call, so that a reload counts at once. */
  assumedOutputTokens(): number;
  prices(): Prices;
  /** What is known of tokens by bytes. */
  readonly ratios?: TokenRatios;
  /** Whether calls of the scope may still come: of what is gone for good, nothing is kept. Default: always. */
  readonly mayCall?: (scope: ScopeName) => boolean;
  /** More than people, groups and keys there can be (people/bounds.ts). Beyond, who took nothing for longest is forgotten. */
  readonly countersMax?: number;
}

const countersMaxDefault = 400_000;

export function createQuotas(options: QuotaBookOptions): QuotaBook {
  const { clock, days, timeZone, assumedOutputTokens, prices, ratios } = options;
  const { mayCall = () => true, countersMax = countersMaxDefault } = options;
  const findWindows = createWindows(days, clock);
  const formatTime = createLocalTime(timeZone);
  const table = new CounterTable(countersMax);
  let listed = findWindows();
  let pendingCount = 0;

  function lookUp(scopes: readonly QuotaScope[], windows: Windows, arrivedAt: number): QuotaStanding[] {
    return scopes.flatMap((scope) => listStandings(scope, table.find(scope), windows, arrivedAt));
  }

  function reserve(caller: Caller, wish: QuotaWish): Reservation {
    if (wish.isFree) return reserveNothing(caller);
    const windows = findWindows();
    const arrivedAt = wish.arrivedAt ?? clock.now();
    const standings = lookUp(caller.scopes, windows, arrivedAt);
    const estimate = estimateCharge(wish, assumedOutputTokens(), findRoom(standings), prices(), ratios);
    const amounts = toAmounts(estimate);
    const hits = listHits(standings, amounts);
    if (hits.length > 0) throw toQuotaRefusal(hits, clock.wallNow(), formatTime);

    const settlers = listCounted(caller).map((scope) => table.open(scope).reserve(amounts, windows, arrivedAt));
    return openReservation(estimate, listWarnings(standings, amounts), settlers);
  }

  /** What is charged in the end counts all the same. */
  function reserveNothing(caller: Caller): Reservation {
    const settlers = listCounted(caller).map((scope) => table.open(scope).reserve(nothing, findWindows(), clock.now()));
    return openReservation(noCharge, [], settlers);
  }

  function openReservation(
    estimate: Charge,
    warnings: readonly QuotaStanding[],
    settlers: readonly ((charge: Amounts) => void)[],
  ): Reservation {
    pendingCount++;
    let isSettled = false;
    return {
      estimate,
      warnings,
      settle(charge) {
        if (isSettled) return;
        isSettled = true;
        pendingCount--;
        for (const settle of settlers) settle(toAmounts(charge));
      },
    };
  }

  return {
    get pendingCount() {
      return pendingCount;
    },
    reserve,
    look: (scopes) => lookUp(scopes, findWindows(), clock.now()),
    listStarts() {
      listed = findWindows();
      return listStarts(listed);
    },
    restore(window, sums, only) {
      const choose = only ? ({ kind, id }: ScopeName) => kind === only.kind && id === only.id : mayCall;
      table.openAll(sums, choose, (counters, amounts) => counters.restore(window, listed, amounts));
    },
    counts: (scope) => table.find(scope) !== undefined,
    sweep: () => table.sweep(mayCall, findWindows()),
    findDrift(window, sums) {
      const windows = findWindows();
      if (windows[window].startsAt !== listed[window].startsAt) return 0;
      let largest = 0;
      for (const [counters, recorded] of table.compare(sums, mayCall)) {
        const used = counters?.find(window, windows, clock.now()) ?? nothing;
        for (const metric of ["requests", "tokens", "costMicros"] as const) {
          largest = Math.max(largest, Math.abs(used[metric] - recorded[metric]));
        }
      }
      return largest;
    },
  };
}

/** Whom a call counts for, limited or not. */
function listCounted({ userId, groupId, keyId }: Caller): ScopeName[] {
  return [
    { kind: "user", id: userId },
    ...(groupId === null ? [] : [{ kind: "group", id: groupId } as const]),
    ...(keyId === null ? [] : [{ kind: "key", id: keyId } as const]),
  ];
}

function toAmounts({ requests, promptTokens, completionTokens, costMicros }: Charge): Amounts {
  return { requests, tokens: promptTokens + completionTokens, costMicros };
}
