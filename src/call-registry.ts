// The calls that live now. Knows how to let them end before the process does.

import type { Clock } from "./base/clock.ts";
import { LinkedList } from "./base/linked-list.ts";
import { Refusal } from "./base/refusal.ts";

export interface CallRegistry {
  /** Disposing says that the call has ended, its answer included. */
  enter(call: Abortable): Disposable;
  /** Throws `shutting_down` once draining has begun. */
  requireOpen(): void;
  /** Lets no more calls in, waits for those that live up to `graceMs`, then aborts the rest. Resolves when none is left. */
  drain(graceMs: number): Promise<void>;
  /** Aborts what lives, now. */
  abortAll(): void;
  readonly isDraining: boolean;
  readonly size: number;
}

interface Abortable {
  abort(refusal: Refusal): void;
}

export function createCallRegistry(clock: Clock): CallRegistry {
  const calls = new LinkedList<Abortable>();
  let isDraining = false;
  let onEmpty = () => {};

  function abortAll(): void {
    for (const call of [...calls]) call.abort(new Refusal("shutting_down", { retryAfterMs: 2_000 }));
  }

  return {
    requireOpen() {
      if (isDraining) throw new Refusal("shutting_down", { retryAfterMs: 2_000 });
    },
    enter(call) {
      const node = calls.append(call);
      return {
        [Symbol.dispose]() {
          if (calls.remove(node) && calls.size === 0) onEmpty();
        },
      };
    },
    async drain(graceMs) {
      isDraining = true;
      if (calls.size === 0) return;
      const cancel = clock.after(graceMs, abortAll);
      await new Promise<void>((resolve) => {
        onEmpty = resolve;
      });
      cancel();
    },
    abortAll,
    get isDraining() {
      return isDraining;
    },
    get size() {
      return calls.size;
    },
  };
}
