// An exact sliding window: never more than `startsMax` sends in any `windowMs`, whatever the upstream counts with.
//
//   reserve ──▶ pending ── stamp ──▶ [oldest … newest]   ring of the sends that still count
//                  └────── refund      a send leaves it windowMs after its stamp
//
// A reservation that was not sent yet may be sent at any moment, so it counts until it is stamped or refunded.
// Hence at each reservation fewer than startsMax others can fall into the same window: the bound is exact.

export interface WindowLog {
  /** The earliest time at which a reservation is possible if nothing else changes; Infinity: only after a stamp or refund. */
  freeAt(now: number): number;
  /** Call only when `freeAt(now) <= now`. */
  reserve(): void;
  /** A reserved send happens at `now`. */
  stamp(now: number): void;
  /** A reserved send will not happen. */
  refund(): void;
  /** Takes new limits; what was sent and reserved stays counted. */
  configure(limits: WindowLimits): void;
}

export interface WindowLimits {
  readonly startsMax: number;
  readonly windowMs: number;
}

/** `rate` per second as a window: whole rates are a window of one second, 0.5 is one start in two seconds. */
export function toWindowLimits(rate: number, guardMs: number): WindowLimits {
  const startsMax = Math.max(1, Math.floor(rate));
  return { startsMax, windowMs: (startsMax / rate) * 1_000 + guardMs };
}

export function createWindowLog(limits: WindowLimits): WindowLog {
  let { startsMax, windowMs } = limits;
  // Grows by doubling up to the most that ever counts at once, so a limit of a million costs nothing until used.
  let ring = new Float64Array(8);
  let oldest = 0;
  let size = 0;
  let pending = 0;

  function forget(now: number): void {
    while (size > 0 && now >= (ring[oldest] as number) + windowMs) {
      oldest = (oldest + 1) % ring.length;
      size--;
    }
  }

  function grow(): void {
    const larger = new Float64Array(ring.length * 2);
    for (let index = 0; index < size; index++) larger[index] = ring[(oldest + index) % ring.length] as number;
    ring = larger;
    oldest = 0;
  }

  return {
    freeAt(now) {
      forget(now);
      const excess = size + pending - startsMax;
      if (excess < 0) return now;
      return excess < size ? (ring[(oldest + excess) % ring.length] as number) + windowMs : Number.POSITIVE_INFINITY;
    },
    reserve() {
      pending++;
    },
    stamp(now) {
      pending--;
      forget(now);
      if (size === ring.length) grow();
      ring[(oldest + size) % ring.length] = now;
      size++;
    },
    refund() {
      pending--;
    },
    configure(changed) {
      ({ startsMax, windowMs } = changed);
    },
  };
}
