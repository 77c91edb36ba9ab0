// What an operator must hear of the ledger, at a bearable rate: the beginning of a failure, a reminder while it lasts,
// its end, and what was lost.

import type { Clock } from "../base/clock.ts";

export interface LedgerAlarm {
  /**
   * failing: records can't be written · recovered: they are again · lost: some were given up for lack of room ·
   * unwritable: the database refuses this one record · undelivered: PostgreSQL takes nothing, the spool grows ·
   * delivered: it takes records again · spool_filling: half of the spool's bytes are used
   */
  readonly what: "failing" | "recovered" | "lost" | "unwritable" | "undelivered" | "delivered" | "spool_filling";
  /** A sentence for the operator. */
  readonly text: string;
  readonly error?: unknown;
  /** The record's, for `unwritable`. */
  readonly id?: string;
}

export type OnAlarm = (alarm: LedgerAlarm) => void;

/** Between the beginnings of two failures that are told of. */
const quietMs = 10_000;
const reminderMs = 60_000;

export interface FailureAlarm {
  note(error: unknown): void;
  /** It works. Told only when the failure was. */
  clear(): void;
}

export function createFailureAlarm(
  clock: Clock,
  onFailing: (error: unknown) => void,
  onRecovered: () => void,
): FailureAlarm {
  let isTold = false;
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    note(error) {
      if (clock.now() - toldAt < (isTold ? reminderMs : quietMs)) return;
      isTold = true;
      toldAt = clock.now();
      onFailing(error);
    },
    clear() {
      if (!isTold) return;
      isTold = false;
      onRecovered();
    },
  };
}

export interface LossCount {
  /** Since the start. */
  readonly count: number;
  add(count: number): void;
  /** Tells of what was lost since it was told last. */
  flush(): void;
}

export function createLossCount(clock: Clock, onAlarm: OnAlarm): LossCount {
  let count = 0;
  let toldCount = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  function flush(): void {
    if (count === toldCount) return;
    toldAt = clock.now();
    toldCount = count;
    onAlarm({
      what: "lost",
      text: `${count} records of calls were lost since the start, for lack of room to keep them`,
    });
  }
  return {
    get count() {
      return count;
    },
    add(more) {
      count += more;
      if (clock.now() - toldAt >= quietMs) flush();
    },
    flush,
  };
}
