// Upstream objects in the store, written in batches beside the calls' way, with the newest in memory. While the store is
// away, what is in memory goes on to serve, and what is new waits, bounded.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { UpstreamObjectTable } from "../store/schema.ts";
import type { Selectable } from "../store/sql.ts";
import type { Store } from "../store/store.ts";
import type { UpstreamObject, UpstreamObjects } from "./objects.ts";

export interface StoredObjects extends UpstreamObjects {
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

export interface StoredObjectsOptions {
  readonly store: Store;
  readonly clock: Clock;
  onFailure(error: unknown): void;
  /** Kept in memory; who was not asked for longest goes first. Default: 50,000. */
  readonly memoryMax?: number;
  /** Changes that may wait for the store; beyond, the oldest are lost. Default: 10,000. */
  readonly backlogMax?: number;
}

const batchMs = 50;
const batchMax = 500;
const retryMs = 5_000;
const dayMs = 86_400_000;
/** Upstreams keep files for months; what is older is found by administrators alone. */
const keptDays = 400;
const idPattern = /^[\x21-\x7e]{1,200}$/;

type Change = { readonly made: UpstreamObject & { readonly at: number } } | { readonly gone: string };

export function createStoredObjects(options: StoredObjectsOptions): StoredObjects {
  const { store, clock, onFailure, memoryMax = 50_000, backlogMax = 10_000 } = options;
  const { db } = store;
  const known = new Map<string, UpstreamObject>();
  /** Gone here, and not yet in the store. */
  const gone = new Set<string>();
  let backlog: Change[] = [];
  let isClosed = false;
  let writing: Promise<void> | null = null;
  let cancelWrite = () => {};
  let isArmed = false;
  let cancelPrune = clock.after(0, prune);

  function remember(object: UpstreamObject): void {
    known.delete(object.id);
    known.set(object.id, object);
    const [oldest] = known.keys();
    if (known.size > memoryMax && oldest !== undefined) known.delete(oldest);
  }

  function change(one: Change): void {
    backlog.push(one);
    if (backlog.length > backlogMax) {
      const lost = backlog.shift();
      if (lost && "gone" in lost) gone.delete(lost.gone);
    }
    arm(batchMs);
  }

  function arm(ms: number): void {
    if (isArmed || isClosed) return;
    isArmed = true;
    cancelWrite = clock.after(ms, () => {
      isArmed = false;
      void write();
    });
  }

  function write(): Promise<void> {
    writing ??= writeBatch().finally(() => {
      writing = null;
    });
    return writing;
  }

  async function writeBatch(): Promise<void> {
    const batch = backlog.slice(0, batchMax);
    if (batch.length === 0) return;
    try {
      // Of what was noted and forgotten in one go, the last counts.
      const last = new Map(batch.map((one) => ["made" in one ? one.made.id : one.gone, one]));
      await remove(batch.flatMap((one) => ("gone" in one ? [one.gone] : [])));
      await insert(Array.from(last.values()).flatMap((one) => ("made" in one ? [one.made] : [])));
    } catch (error) {
      onFailure(error);
      arm(retryMs);
      return;
    }
    const written = new Set(batch);
    backlog = backlog.filter((one) => !written.has(one));
    for (const one of batch) if ("gone" in one) gone.delete(one.gone);
    if (backlog.length > 0) arm(0);
  }

  async function insert(objects: readonly (UpstreamObject & { readonly at: number })[]): Promise<void> {
    if (objects.length === 0) return;
    const rows = objects.map(({ id, kind, upstreamKey, owner, keyId, at }) => {
      return { id, kind, upstream_key: upstreamKey, owner, key_id: keyId, created_at: at };
    });
    await db
      .insertInto("upstream_objects")
      .values(rows)
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    // Who was first stays its owner, also when memory had forgotten that.
    const ids = objects.map(({ id }) => id);
    for (const row of await db.selectFrom("upstream_objects").selectAll().where("id", "in", ids).execute()) {
      if (known.get(row.id)?.owner !== row.owner && known.has(row.id)) remember(toObject(row));
    }
  }

  async function remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await db.deleteFrom("upstream_objects").where("id", "in", ids).execute();
  }

  async function read(id: string): Promise<UpstreamObject | null> {
    const row = await db
      .selectFrom("upstream_objects")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst()
      .catch((error: unknown) => {
        onFailure(error);
        throw new Refusal("store_unavailable", {}, error);
      });
    if (!row || gone.has(id)) return null;
    return toObject(row);
  }

  function prune(): void {
    const before = Math.round(clock.wallNow()) - keptDays * dayMs;
    db.deleteFrom("upstream_objects").where("created_at", "<", before).execute().catch(onFailure);
    if (!isClosed) cancelPrune = clock.after(dayMs, prune);
  }

  return {
    note(object) {
      if (!idPattern.test(object.id) || known.has(object.id)) return;
      gone.delete(object.id);
      remember(object);
      change({ made: { ...object, at: Math.round(clock.wallNow()) } });
    },
    async find(id) {
      if (!idPattern.test(id) || gone.has(id)) return null;
      const object = known.get(id) ?? (await read(id));
      if (object !== null && !gone.has(id)) remember(object);
      return object;
    },
    forget(id) {
      known.delete(id);
      if (!idPattern.test(id) || gone.has(id)) return;
      gone.add(id);
      change({ gone: id });
    },
    async close() {
      isClosed = true;
      cancelWrite();
      cancelPrune();
      await writing;
      for (let left = -1; backlog.length > 0 && backlog.length !== left; ) {
        left = backlog.length;
        await write();
      }
    },
  };
}

function toObject({
  id,
  kind,
  upstream_key: upstreamKey,
  owner,
  key_id: keyId,
}: Selectable<UpstreamObjectTable>): UpstreamObject {
  return { id, kind, upstreamKey, owner, keyId };
}
