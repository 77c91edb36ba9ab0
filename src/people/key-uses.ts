// When each API key was last used: noted in memory with every call, written now and then, off the call's path.

import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import type { KeyView } from "./people.ts";

export interface KeyUses {
  note(keyId: string): void;
  /** The key with the latest use that is known. */
  withLastUse(view: KeyView): KeyView;
  close(): Promise<void>;
}

const writeMs = 60_000;

export function createKeyUses({ db, writeBatch }: Store, clock: Clock, onFailure: (error: unknown) => void): KeyUses {
  const lastUses = new Map<string, number>();
  const unwritten = new Set<string>();
  let cancel: (() => void) | null = null;

  async function write(): Promise<void> {
    cancel = null;
    const ids = [...unwritten];
    unwritten.clear();
    if (ids.length === 0) return;
    const statements = ids.map((id) =>
      db
        .updateTable("api_keys")
        .set({ last_used_at: lastUses.get(id) ?? null })
        .where("id", "=", id)
        .compile(),
    );
    await writeBatch(statements).catch(onFailure);
  }

  return {
    note(keyId) {
      lastUses.set(keyId, Math.round(clock.wallNow()));
      unwritten.add(keyId);
      cancel ??= clock.after(writeMs, () => void write());
    },
    withLastUse(view) {
      const lastUsedAt = lastUses.get(view.id);
      return lastUsedAt === undefined ? view : { ...view, lastUsedAt };
    },
    async close() {
      cancel?.();
      await write();
    },
  };
}
