// An exact sliding window: never more than `startsMax` sends in any `windowMs`, whatever the upstream counts with.
//
//   reserve ──▶ pending ── stamp ──▶ [oldest … newest]   ring of the last sends, as many as may count
//                  └────── refund      a send counts until windowMs after its stamp
//
// A reservation that was not sent yet may be sent at any moment, so it counts until it is stamped or refunded.
// Hence at each reservation fewer than startsMax others can fall into the same window: the bound is exact. Sends are
// kept beyond their window, since a reload may make it longer.

export interface WindowLog {
  readonly startsMax: number;
  /** Without guard and slowdown. */
  readonly nominalMs: number;
  /** The earliest time at which a reservation is possible if nothing else changes; Infinity: only after a stamp or refund. */
  freeAt(now: number): number;
  /** Since when a reservation is possible, if it is possible now; -Infinity: as far as is known, it always was. */
  readonly openedAt: number;
  /** The same as `freeAt` for the start after `ahead` others, if each starts as soon as it may and what is reserved is sent now. */
  freeAfter(ahead: number, now: number): number;
  /** Starts that are possible now, and when all are again. */
  remaining(now: number): { count: number; allAt: number };
  /** Call only when `freeAt(now) <= now`. */
  reserve(): void;
  /** A reserved send happens at `now`. */
  stamp(now: number): void;
  /** Counts a send that nobody reserved here, of before. One that is older than the newest counts as long as that. */
  recall(at: number): void;
  /** A reserved send will not happen. */
  refund(): void;
  /** Takes new limits; what was sent and reserved stays counted. */
  configure(limits: WindowLimits): void;
}

export interface WindowLimits {
  readonly startsMax: number;
  readonly windowMs: number;
  /** What the limit is said to be for, without guard and slowdown. Default: `windowMs`. */
  readonly nominalMs?: number;
}

/** The longest window there is, for one start in a thousand seconds, and some more. */
const historyMs = 1_100_000;

/** A limit that replaces this one may look further back, to as many sends as this one lets through in its window. */
function toKeptMax(startsMax: number): number {
  return 8 * startsMax + 64;
}

/** `rate` per second as a window: whole rates are a window of one second, 0.5 is one start in two seconds. */
export function toWindowLimits(rate: number, guardMs: number): WindowLimits {
  const startsMax = Math.max(1, Math.floor(rate));
  return { startsMax, windowMs: (startsMax / rate) * 1_000 + guardMs };
}

export function createWindowLog(limits: WindowLimits): WindowLog {
  let { startsMax, windowMs, nominalMs = windowMs } = limits;
  // Grows by doubling up to the most that is ever kept, so a limit of a million costs nothing until used.
  let ring = new Float64Array(8);
  let keptMax = toKeptMax(startsMax);
  let oldest = 0;
  let size = 0;
  let pending = 0;

  /** When the send with `index` older ones before it counts no more. */
  function leavesAt(index: number): number {
    return (ring[(oldest + index) % ring.length] as number) + windowMs;
  }

  function dropOldest(): void {
    oldest = (oldest + 1) % ring.length;
    size--;
  }

  /** What no window reaches back to can't tell anything. */
  function trim(now: number): void {
    while (size > 0 && now - (ring[oldest] as number) > historyMs && leavesAt(0) <= now) dropOldest();
  }

  /** Sends that still count: the newest ones, found by halving. */
  function countInWindow(now: number): number {
    let [low, high] = [0, size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (leavesAt(middle) <= now) low = middle + 1;
      else high = middle;
    }
    return size - low;
  }

  function append(at: number): void {
    trim(at);
    if (size === keptMax) dropOldest();
    if (size === ring.length) grow();
    ring[(oldest + size) % ring.length] = at;
    size++;
  }

  function grow(): void {
    const larger = new Float64Array(ring.length * 2);
    for (let index = 0; index < size; index++) larger[index] = ring[(oldest + index) % ring.length] as number;
    ring = larger;
    oldest = 0;
  }

  return {
    get startsMax() {
      return startsMax;
    },
    get nominalMs() {
      return nominalMs;
    },
    freeAt(now) {
      const mustLeave = size + pending - startsMax;
      if (mustLeave < 0) return now;
      return mustLeave < size ? Math.max(now, leavesAt(mustLeave)) : Number.POSITIVE_INFINITY;
    },
    get openedAt() {
      const mustLeave = size + pending - startsMax;
      return mustLeave < 0 ? Number.NEGATIVE_INFINITY : leavesAt(mustLeave);
    },
    freeAfter(ahead, now) {
      // Each start frees its place a window later, so from one round of `startsMax` to the next all is a window later.
      const rounds = Math.floor(ahead / startsMax);
      const mustLeave = size + pending + (ahead % startsMax) - startsMax;
      const reservedFreeAt = mustLeave < 0 ? now : now + windowMs;
      const freeAt = mustLeave >= 0 && mustLeave < size ? leavesAt(mustLeave) : reservedFreeAt;
      return Math.max(now, freeAt) + rounds * windowMs;
    },
    remaining(now) {
      const count = Math.max(0, startsMax - countInWindow(now) - pending);
      const newestLeavesAt = size === 0 ? now : Math.max(now, leavesAt(size - 1));
      return { count, allAt: pending > 0 ? now + windowMs : newestLeavesAt };
    },
    reserve() {
      pending++;
    },
    stamp(now) {
      pending--;
      append(now);
    },
    recall(at) {
      append(size === 0 ? at : Math.max(at, ring[(oldest + size - 1) % ring.length] as number));
    },
    refund() {
      pending--;
    },
    configure(changed) {
      ({ startsMax, windowMs, nominalMs = windowMs } = changed);
      keptMax = Math.max(keptMax, toKeptMax(startsMax));
    },
  };
}
