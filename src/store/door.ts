// Who is inside the store: everything that was asked and not answered yet. Bounds how many there are, and lets the store
// be closed after the last of them, but not wait for one that never ends.

import type { Clock } from "../base/clock.ts";
import { StoreError } from "./store.ts";

export interface Door {
  /** Throws StoreError when the store is closed, or when too many are inside. */
  enter(): void;
  leave(): void;
  /** Nobody enters any more. Resolves with true when all have left, or with false when they took too long. */
  close(): Promise<boolean>;
}

export const insideMax = 10_000;
export const leaveMsMax = 5_000;

export function createDoor(clock: Clock): Door {
  let inside = 0;
  let closing: PromiseWithResolvers<boolean> | null = null;
  return {
    enter() {
      if (closing) throw new StoreError("unavailable", "the database is closed");
      if (inside >= insideMax)
        throw new StoreError("unavailable", `${inside} statements wait for the database already`);
      inside++;
    },
    leave() {
      inside--;
      if (inside === 0) closing?.resolve(true);
    },
    close() {
      closing ??= Promise.withResolvers();
      if (inside === 0) closing.resolve(true);
      const { promise, resolve } = closing;
      const cancel = clock.after(leaveMsMax, () => resolve(false));
      return promise.finally(cancel);
    },
  };
}
