// Upstream objects in the store, with the newest in memory. One write is on its way at a time, and what comes meanwhile is
// the next one. While the store is away, what is in memory goes on to serve, and what is new waits, bounded.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { UpstreamObjectTable } from "../store/schema.ts";
import type { Selectable } from "../store/sql.ts";
import type { Db, Statement, Store } from "../store/store.ts";
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

const batchMax = 500;
const retryMs = 5_000;
/** Whoever made an object does not wait longer for the store. */
const waitMsMax = 5_000;
const dayMs = 86_400_000;
/** Upstreams keep files for months; what is older is found by administrators alone. */
const keptDays = 400;
/** More of one owner and kind are not looked at for lists. */
const listMax = 1_000;
const idPattern = /^[\x21-\x7e]{1,200}$/;

interface Change {
  readonly id: string;
  /** Null: it is gone. */
  readonly made: UpstreamObject | null;
  /** True: durable. False: not yet, and nobody knows when. */
  readonly written: PromiseWithResolvers<boolean>;
}

export function createStoredObjects(options: StoredObjectsOptions): StoredObjects {
  const { store, clock, onFailure, memoryMax = 50_000, backlogMax = 10_000 } = options;
  const { db } = store;
  const known = new Map<string, UpstreamObject>();
  /** By id; the last one counts. */
  const unwritten = new Map<string, Change>();
  let backlog: Change[] = [];
  let isClosed = false;
  let isFailing = false;
  let writing: Promise<void> | null = null;
  let cancelRetry = () => {};
  let cancelPrune = clock.after(0, prune);

  function remember(object: UpstreamObject): void {
    known.delete(object.id);
    known.set(object.id, object);
    const [oldest] = known.keys();
    if (known.size > memoryMax && oldest !== undefined) known.delete(oldest);
  }

  const isGone = (id: string) => unwritten.get(id)?.made === null;

  /** Resolves with whether it is durable. */
  async function change(id: string, made: Change["made"]): Promise<boolean> {
    const one = { id, made, written: Promise.withResolvers<boolean>() };
    backlog.push(one);
    unwritten.set(id, one);
    if (backlog.length > backlogMax) drop(backlog.shift() as Change);
    if (isFailing) return false;
    const cancel = clock.after(waitMsMax, () => one.written.resolve(false));
    void write();
    return one.written.promise.finally(cancel);
  }

  function drop(one: Change): void {
    if (unwritten.get(one.id) === one) unwritten.delete(one.id);
    one.written.resolve(false);
  }

  function write(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = null;
    });
    return writing;
  }

  async function writeAll(): Promise<void> {
    cancelRetry();
    while (backlog.length > 0) {
      const batch = backlog.slice(0, batchMax);
      try {
        await writeBatch(batch);
      } catch (error) {
        isFailing = true;
        for (const { written } of batch) written.resolve(false);
        onFailure(error);
        if (!isClosed) cancelRetry = clock.after(retryMs, () => void write());
        return;
      }
      isFailing = false;
      const done = new Set(batch);
      backlog = backlog.filter((one) => !done.has(one));
      for (const one of batch) {
        if (unwritten.get(one.id) === one) unwritten.delete(one.id);
        one.written.resolve(true);
      }
    }
  }

  async function writeBatch(batch: readonly Change[]): Promise<void> {
    // Of what was noted and forgotten in one go, the last counts.
    const made = [...new Map(batch.map((one) => [one.id, one.made])).values()].filter((one) => one !== null);
    const gone = batch.filter((one) => one.made === null).map(({ id }) => id);
    await store.writeBatch([
      ...(gone.length > 0 ? [db.deleteFrom("upstream_objects").where("id", "in", gone).compile()] : []),
      ...(made.length > 0 ? [compileInsert(db, made)] : []),
    ]);
    if (made.length === 0) return;
    // Who was first stays its owner, also when memory had forgotten that.
    const ids = made.map(({ id }) => id);
    for (const row of await db.selectFrom("upstream_objects").selectAll().where("id", "in", ids).execute()) {
      if (known.get(row.id)?.owner !== row.owner && known.has(row.id)) remember(toObject(row));
    }
  }

  function fail(error: unknown): never {
    onFailure(error);
    throw new Refusal("store_unavailable", {}, error);
  }

  async function read(id: string): Promise<UpstreamObject | null> {
    const row = await db.selectFrom("upstream_objects").selectAll().where("id", "=", id).executeTakeFirst().catch(fail);
    if (!row || isGone(id)) return null;
    return toObject(row);
  }

  function prune(): void {
    const before = Math.round(clock.wallNow()) - keptDays * dayMs;
    db.deleteFrom("upstream_objects").where("created_at", "<", before).execute().catch(onFailure);
    if (!isClosed) cancelPrune = clock.after(dayMs, prune);
  }

  return {
    requireWritable() {
      if (isFailing) throw new Refusal("store_unavailable", { retryAfterMs: retryMs });
    },
    async note(object) {
      const { id } = object;
      if (!idPattern.test(id)) return;
      const before = known.get(id);
      // Another answer may have told of it, and wait for it still.
      if (before && !isGone(id)) return requireDurable(id, await (unwritten.get(id)?.written.promise ?? true));
      const made = { ...object, createdAt: Math.round(clock.wallNow()) };
      remember(made);
      requireDurable(id, await change(id, made));
    },
    async find(id) {
      if (!idPattern.test(id) || isGone(id)) return null;
      const object = known.get(id) ?? (await read(id));
      if (object !== null && !isGone(id)) remember(object);
      return object;
    },
    async listOwn(owner, kind) {
      const rows = await db
        .selectFrom("upstream_objects")
        .selectAll()
        .where("owner", "=", owner)
        .where("kind", "=", kind)
        .orderBy("created_at", "desc")
        .limit(listMax)
        .execute()
        .catch(fail);
      const stored = rows.map(toObject).filter(({ id }) => !unwritten.has(id));
      const waiting = Array.from(unwritten.values()).flatMap(({ made }) =>
        made?.owner === owner && made.kind === kind ? [made] : [],
      );
      return [...waiting.reverse(), ...stored];
    },
    async forget(id) {
      known.delete(id);
      if (!idPattern.test(id) || isGone(id)) return;
      await change(id, null);
    },
    async close() {
      isClosed = true;
      cancelPrune();
      await write();
      cancelRetry();
    },
  };
}

function requireDurable(id: string, isDurable: boolean): void {
  if (!isDurable) throw new Refusal("object_unrecorded", { detail: id });
}

function compileInsert(db: Db, made: readonly UpstreamObject[]): Statement {
  const rows = made.map(({ id, kind, upstreamKey, owner, keyId, createdAt }) => {
    return { id, kind, upstream_key: upstreamKey, owner, key_id: keyId, created_at: createdAt };
  });
  return db
    .insertInto("upstream_objects")
    .values(rows)
    .onConflict((conflict) => conflict.column("id").doNothing())
    .compile();
}

function toObject({
  id,
  kind,
  upstream_key: upstreamKey,
  owner,
  key_id: keyId,
  created_at: createdAt,
}: Selectable<UpstreamObjectTable>): UpstreamObject {
  return { id, kind, upstreamKey, owner, keyId, createdAt };
}
