// Prunes once a day, at no particular time, and on request. One at a time.

import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import { createCalendar } from "./calendar-day.ts";
import { type Pruned, prune } from "./prune.ts";

export interface Retention {
  /** Now: calls of days that ended before `before` (Unix milliseconds; null: as configured). Rejects with StoreError. */
  prune(before: number | null): Promise<Pruned>;
  /** Prunes no more; resolves when the step that runs is done. */
  stop(): Promise<void>;
}

export interface RetentionOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Where days begin. */
  readonly timeZone: string;
  /** Asked at each run, so that a changed configuration counts. */
  days(): { readonly calls: number; readonly contents: number };
  onPruned(pruned: Pruned): void;
  onFailure(error: unknown): void;
}

const dayMs = 24 * 3_600_000;
/** After the start, and beside each day: several gateways that share a database don't come all at once. */
const firstMsMin = 60_000;
const jitterMs = 600_000;

export function createRetention(options: RetentionOptions): Retention {
  const { store, clock, onPruned, onFailure } = options;
  const calendar = createCalendar(options.timeZone);
  let running: Promise<unknown> = Promise.resolve();
  let isStopped = false;
  let cancel = plan(firstMsMin);

  function plan(ms: number): () => void {
    return clock.after(ms + clock.random() * jitterMs, () => {
      cancel = plan(dayMs);
      start(null).then(onPruned, onFailure);
    });
  }

  function start(before: number | null): Promise<Pruned> {
    const now = clock.wallNow();
    const { calls, contents } = options.days();
    const run = running.then(() =>
      prune(store, calendar, {
        callsBefore: before ?? now - calls * dayMs,
        contentsBefore: now - contents * dayMs,
        isWanted: () => !isStopped,
      }),
    );
    running = run.catch(() => {});
    return run;
  }

  return {
    prune: start,
    async stop() {
      isStopped = true;
      cancel();
      await running;
    },
  };
}
