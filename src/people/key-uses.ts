// When each API key was last used: noted in memory with every call, written once a minute, off the call's path.

import type { Clock } from "../base/clock.ts";
import type { Statement, Store } from "../store/store.ts";
import type { KeyView } from "./people.ts";

export interface KeyUses {
  note(keyId: string): void;
  /** The key with the latest use that is known. */
  withLastUse(view: KeyView): KeyView;
  /** Writes what is noted. Notes nothing any more. */
  close(): Promise<void>;
}

export interface KeyUsesOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Told when a use has been written. */
  onWritten(keyId: string, at: number): void;
  onStoreFailure(error: unknown): void;
}

const writeMs = 60_000;
const batchMax = 500;

export function createKeyUses({ store, clock, onWritten, onStoreFailure }: KeyUsesOptions): KeyUses {
  /** Key id -> Unix milliseconds, until it is written. No more than there are keys. */
  const noted = new Map<string, number>();
  let running: Promise<void> = Promise.resolve();
  let cancel: (() => void) | null = null;
  let isClosed = false;

  function arm(): void {
    if (isClosed || noted.size === 0) return;
    cancel ??= clock.after(writeMs, () => {
      cancel = null;
      running = writeAll();
    });
  }

  /** What can't be written is noted still, and comes with the next. */
  async function writeAll(): Promise<void> {
    const entries = [...noted];
    try {
      for (let from = 0; from < entries.length; from += batchMax) {
        const batch = entries.slice(from, from + batchMax);
        await store.writeBatch(batch.map(([id, at]) => toStatement(id, at)));
        for (const [id, at] of batch) {
          if (noted.get(id) === at) noted.delete(id);
          onWritten(id, at);
        }
      }
    } catch (error) {
      onStoreFailure(error);
    }
    arm();
  }

  /** Another process may have seen the key later. */
  function toStatement(id: string, at: number): Statement {
    return store.db
      .updateTable("api_keys")
      .set({ last_used_at: at })
      .where("id", "=", id)
      .where((or) => or.or([or("last_used_at", "is", null), or("last_used_at", "<", at)]))
      .compile();
  }

  return {
    note(keyId) {
      if (isClosed) return;
      noted.set(keyId, Math.round(clock.wallNow()));
      arm();
    },
    withLastUse(view) {
      const lastUsedAt = noted.get(view.id);
      return lastUsedAt === undefined ? view : { ...view, lastUsedAt };
    },
    async close() {
      isClosed = true;
      cancel?.();
      await running;
      if (noted.size > 0) await writeAll();
    },
  };
}
