// The clock of one call upstream: the whole answer, its first byte, and silence within it, each with its own error.
// One timer per call, re-armed when it fires rather than at every byte.

import type { Clock } from "./base/clock.ts";
import { Refusal } from "./base/refusal.ts";

export interface CallTimeouts {
  /** From the send to the upstream's last byte. */
  readonly totalMs: number;
  /** From the send to the first byte of the body; null: only the total counts. */
  readonly firstByteMs: number | null;
  /** Without a byte while one is awaited; null: only the total counts. */
  readonly idleMs: number | null;
}

export interface Deadline extends Disposable {
  /** A byte came. */
  touch(): void;
  /** Reading was paused: silence does not count until it goes on. */
  setPaused(isPaused: boolean): void;
  /** The upstream is done. Harmless when repeated. */
  stop(): void;
}

/** Runs from now on; calls `expire` at most once. */
export function startDeadline(timeouts: CallTimeouts, clock: Clock, expire: (refusal: Refusal) => void): Deadline {
  const { totalMs, firstByteMs, idleMs } = timeouts;
  const startedAt = clock.now();
  let lastByteAt: number | null = null;
  let isPaused = false;
  let cancel = () => {};
  check();

  /** The next thing that can expire, and when. */
  function findNext(): { at: number; refusal: () => Refusal } {
    const total = { at: startedAt + totalMs, refusal: () => tooSlow("upstream_timeout", totalMs) };
    if (lastByteAt === null) {
      if (firstByteMs === null || firstByteMs >= totalMs) return total;
      return { at: startedAt + firstByteMs, refusal: () => tooSlow("upstream_first_byte_timeout", firstByteMs) };
    }
    if (idleMs === null) return total;
    const idleAt = (isPaused ? clock.now() : lastByteAt) + idleMs;
    return idleAt >= total.at ? total : { at: idleAt, refusal: () => tooSlow("upstream_idle_timeout", idleMs) };
  }

  function check(): void {
    const next = findNext();
    const remainingMs = next.at - clock.now();
    if (remainingMs <= 0) expire(next.refusal());
    else cancel = clock.after(remainingMs, check);
  }

  function stop(): void {
    cancel();
  }

  return {
    touch() {
      // Idle time starts with the first byte, and may end before what the timer is armed for.
      const isFirst = lastByteAt === null;
      lastByteAt = clock.now();
      if (isFirst && idleMs !== null) {
        cancel();
        check();
      }
    },
    setPaused(paused) {
      isPaused = paused;
      if (!paused) lastByteAt = clock.now();
    },
    stop,
    [Symbol.dispose]: stop,
  };
}

/** The seed's advice: come back after five to ten seconds. */
function tooSlow(
  reason: "upstream_timeout" | "upstream_first_byte_timeout" | "upstream_idle_timeout",
  limit: number,
): Refusal {
  return new Refusal(reason, { limit, retryAfterMs: 5_000 });
}
