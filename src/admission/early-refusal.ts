// What `early_refusal` adds: nobody queues who could not be served in time, and whoever queues is served. A newcomer is
// refused at once when the queue is as long as can be served within its time, when its user's calls start too rarely,
// or when they already take their share of the places; in return, a call of which the time runs out may go first.

import type { QueuedWaiter } from "./waiter.ts";

/** A user's calls may take so much of the places that are free: the rest is for those who come next (dynamic threshold). */
const placesShare = 0.3;
/** A newcomer of whom nothing waits may take the place of a call that has not waited for longer than this. */
export const replaceableMs = 1_000;
/** A call that must go first may be ahead of its share by so many calls' costs. */
export const urgencyCosts = 4;
/** Calls looked at for whether they would still be in time. */
export const urgentMax = 32;

export interface Prospect {
  /** The wait in fair order, if nobody else comes. */
  readonly fairMs: number;
  /** Places that can be served in time, and those that are taken, the newcomer's not included. */
  readonly places: number;
  readonly taken: number;
  /** The wait behind so many others. */
  waitMs(ahead: number): number;
}

export type EarlyAnswer =
  | { readonly kind: "fine" }
  /** It would wait for `waitMs`; room for it is there after `roomMs`. */
  | { readonly kind: "too_long"; readonly waitMs: number; readonly roomMs: number }
  | { readonly kind: "too_many"; readonly waiting: number; readonly limit: number; readonly roomMs: number };

/** `waiter` counts as waiting already. */
export function judgeEarly(waiter: QueuedWaiter, { fairMs, places, taken, waitMs }: Prospect): EarlyAnswer {
  const { startGapMs, waitingCount } = waiter.user;
  const mayWaitMs = waiter.deadlineAt - waiter.arrivedAt;
  const ownBefore = waitingCount - 1;
  /** Until so many of the user's own calls have started. */
  const startsMs = (count: number) => Math.max(waitMs(Math.max(0, count - 1)), count * startGapMs);
  const lastMs = waitMs(taken);
  if (lastMs >= mayWaitMs) return { kind: "too_long", waitMs: lastMs, roomMs: lastMs - mayWaitMs };
  if (ownBefore === 0) return { kind: "fine" };
  if (fairMs >= mayWaitMs) return { kind: "too_long", waitMs: fairMs, roomMs: fairMs - mayWaitMs };
  const byPaceMs = startGapMs * waitingCount;
  if (byPaceMs > mayWaitMs) {
    const roomMs = startsMs(Math.ceil((byPaceMs - mayWaitMs) / startGapMs));
    return { kind: "too_long", waitMs: byPaceMs, roomMs };
  }
  const limit = Math.max(0, Math.floor(placesShare * (places - taken)));
  if (ownBefore <= limit) return { kind: "fine" };
  return { kind: "too_many", waiting: ownBefore, limit, roomMs: startsMs(ownBefore - limit) };
}

/**
 * The call that must go now, since otherwise one would be too late: the first of those nearest to their deadline, when
 * letting `chosen` go before them would leave one of them no time. Null: `chosen` may go. `waitMs(n)` is the wait behind
 * n others.
 */
export function findUrgent(
  byDeadline: readonly QueuedWaiter[],
  chosen: QueuedWaiter,
  mayGo: (waiter: QueuedWaiter) => boolean,
  waitMs: (ahead: number) => number,
  now: number,
): QueuedWaiter | null {
  // Of its own session, nobody is passed.
  const first = byDeadline.find((waiter) => waiter === chosen || (!waiter.slot?.previous && mayGo(waiter)));
  if (first === undefined || first === chosen) return null;
  let ahead = 0;
  for (const waiter of byDeadline) {
    if (waiter !== chosen && waiter.deadlineAt <= now + waitMs(++ahead)) return first;
  }
  return null;
}
