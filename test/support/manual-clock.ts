// A clock that stands still until a test moves it. Timers fire in order of their time, then of their arming.

import type { Clock } from "../../src/base/clock.ts";

export interface ManualClock extends Clock {
  /** Moves time on by `ms`, firing what falls due, and lets promise reactions run between timers. */
  advance(ms: number): Promise<void>;
  /** Moves time on without firing anything, as a stopped process or a busy event loop does. */
  stall(ms: number): void;
  /** Timers armed and not yet fired or cancelled. */
  readonly armedCount: number;
}

export function createManualClock(startMs = 0, wallStartMs = Date.UTC(2026, 10, 23)): ManualClock {
  let now = startMs;
  let sequence = 0;
  const timers = new Map<number, { at: number; callback: () => void }>();

  function findNext(untilMs: number): number | undefined {
    let next: number | undefined;
    let nextAt = untilMs;
    for (const [id, timer] of timers) {
      if (timer.at < nextAt || (timer.at === nextAt && next === undefined)) {
        next = id;
        nextAt = timer.at;
      }
    }
    return next;
  }

  return {
    now: () => now,
    wallNow: () => wallStartMs + (now - startMs),
    after(ms, callback) {
      const id = sequence++;
      timers.set(id, { at: now + Math.max(ms, 0), callback });
      return () => void timers.delete(id);
    },
    async advance(ms) {
      const until = now + ms;
      for (let id = findNext(until); id !== undefined; id = findNext(until)) {
        const timer = timers.get(id);
        timers.delete(id);
        if (!timer) break;
        now = Math.max(now, timer.at);
        timer.callback();
        await settle();
      }
      now = until;
      await settle();
    },
    stall(ms) {
      now += ms;
    },
    random: () => 0,
    get armedCount() {
      return timers.size;
    },
  };
}

/** Lets every promise reaction that is already due run, without letting real time matter. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
