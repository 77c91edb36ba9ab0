// How many requests one visitor may have at work at once: reading the ledger takes time, and one user's must not take
// everybody's.

import { Refusal } from "../base/refusal.ts";

export const requestsMax = 16;

export interface Crowd {
  /** Throws `concurrency_exceeded`. Disposing says that the request is done. */
  enter(visitor: string): Disposable;
}

export function createCrowd(): Crowd {
  const counts = new Map<string, number>();
  return {
    enter(visitor) {
      const used = counts.get(visitor) ?? 0;
      if (used >= requestsMax) {
        const quota = "requests of one user to the control plane";
        throw new Refusal("concurrency_exceeded", { used, limit: requestsMax, quota, retryAfterMs: 1_000 });
      }
      counts.set(visitor, used + 1);
      return {
        [Symbol.dispose]() {
          const left = (counts.get(visitor) ?? 1) - 1;
          if (left > 0) counts.set(visitor, left);
          else counts.delete(visitor);
        },
      };
    },
  };
}
