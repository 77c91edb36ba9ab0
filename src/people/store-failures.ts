// What becomes of a store that fails: a refusal for who asked, and a word to the operator now and then.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { StoreError } from "../store/store.ts";

const retryAfterMs = 2_000;
const quietMs = 60_000;

/** `store_unavailable`, or the error itself when the store is not to blame. */
export function toRefusal(error: unknown): unknown {
  return error instanceof StoreError ? new Refusal("store_unavailable", { retryAfterMs }, error) : error;
}

/** At most once a minute, however often it fails. */
export function createFailureNotice(clock: Clock, tell: (error: unknown) => void): (error: unknown) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (clock.now() - toldAt < quietMs) return;
    toldAt = clock.now();
    tell(error);
  };
}
