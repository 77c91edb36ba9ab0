// How fast a body has to come: a client that sends slowly holds memory, or a place, that others need.

import type { Clock } from "../base/clock.ts";

/** A body has this long for nothing, and beyond it as long as its bytes so far take at the lowest rate. */
export const graceMs = 5_000;
export const bytesPerSecondMin = 16 * 1024;

export interface PaceLimits {
  /** All of it has to be there in this time; null: no such bound. */
  readonly totalMsMax: number | null;
  /** Longest pause between two of its bytes; null: no such bound. */
  readonly silenceMsMax: number | null;
}

export interface BodyPace {
  note(byteCount: number): void;
  /** While it is held back by the one who reads, its time does not pass. */
  setPaused(isPaused: boolean): void;
  /** Nothing is awaited any more. May be called repeatedly. */
  stop(): void;
}

/** Calls `onTooSlow` once, unless it is stopped before. */
export function startBodyPace(limits: PaceLimits, clock: Clock, onTooSlow: () => void): BodyPace {
  const { totalMsMax, silenceMsMax } = limits;
  const startedAt = clock.now();
  let pausedMs = 0;
  let pausedAt: number | null = null;
  let heardAt = startedAt;
  let byteCount = 0;
  let cancel = clock.after(msLeft(), look);

  /** Until it is too slow, if nothing more comes. */
  function msLeft(): number {
    const now = clock.now();
    const spentMs = now - startedAt - pausedMs;
    const atRateMs = graceMs + (byteCount / bytesPerSecondMin) * 1_000 - spentMs;
    const totalMs = totalMsMax === null ? Number.POSITIVE_INFINITY : totalMsMax - spentMs;
    const silenceMs = silenceMsMax === null ? Number.POSITIVE_INFINITY : heardAt + silenceMsMax - now;
    return Math.min(atRateMs, totalMs, silenceMs);
  }

  function look(): void {
    const leftMs = msLeft();
    if (leftMs <= 0) onTooSlow();
    else cancel = clock.after(leftMs, look);
  }

  return {
    note(count) {
      byteCount += count;
      heardAt = clock.now();
    },
    setPaused(isPaused) {
      if (isPaused === (pausedAt !== null)) return;
      cancel();
      if (isPaused) {
        pausedAt = clock.now();
        return;
      }
      heardAt = clock.now();
      pausedMs += heardAt - (pausedAt ?? heardAt);
      pausedAt = null;
      cancel = clock.after(msLeft(), look);
    },
    stop: () => cancel(),
  };
}
