// Looks once an hour whether the counters of quotas are what the records add up to. They can only be compared while
// nothing is on its way, so a busy moment is waited out.

import type { Clock } from "./base/clock.ts";

export interface QuotaCheck {
  /** The largest difference; null: something was on its way meanwhile. */
  findDrift(): Promise<number | null>;
  /** 0 is as it should be; anything else is a bug. */
  onChecked(drift: number): void;
  onFailure(error: unknown): void;
}

const checkMs = 3_600_000;
const retryMs = 60_000;

/** The returned function ends it. */
export function checkQuotasHourly({ findDrift, onChecked, onFailure }: QuotaCheck, clock: Clock): () => void {
  let isStopped = false;
  let cancel = () => {};
  plan(checkMs);

  function plan(ms: number): void {
    // It may have been ended while the records were read.
    if (isStopped) return;
    cancel = clock.after(ms, () => {
      findDrift()
        .then((drift) => {
          if (drift !== null) onChecked(drift);
          plan(drift === null ? retryMs : checkMs);
        })
        .catch((error: unknown) => {
          onFailure(error);
          plan(checkMs);
        });
    });
  }

  return () => {
    isStopped = true;
    cancel();
  };
}
