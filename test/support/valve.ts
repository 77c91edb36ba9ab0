// A real sink with a valve before it: it can be held, made to fail, and counted.

import type { Change } from "../../src/ledger/change.ts";
import type { Sink } from "../../src/ledger/group-commit.ts";

export interface Valve extends Sink {
  /** What was asked to be written, batch by batch, whether it was or not. */
  readonly batches: readonly (readonly Change[])[];
  /** Writes wait until `release`. */
  hold(): void;
  release(): void;
  /** Writes reject with what `error` makes of them; null: they go through. */
  fail(error: ((changes: readonly Change[]) => Error | null) | null): void;
}

export function createValve(sink: Sink): Valve {
  const batches: (readonly Change[])[] = [];
  let held: PromiseWithResolvers<void> | null = null;
  let toError: (changes: readonly Change[]) => Error | null = () => null;
  return {
    batches,
    async write(changes) {
      batches.push(changes);
      await held?.promise;
      const error = toError(changes);
      if (error) throw error;
      await sink.write(changes);
    },
    hold() {
      held ??= Promise.withResolvers<void>();
    },
    release() {
      held?.resolve();
      held = null;
    },
    fail(error) {
      toError = error ?? (() => null);
    },
  };
}
