// Sessions that were logged out: in memory, where it counts at once, and in the store, so that a restart forgets none
// and other processes hear of it. Each is kept until its tokens would have died by themselves.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Db, Store } from "../store/store.ts";
import { createRevision, revisionNames } from "./revisions.ts";

export interface RevokedSessions {
  has(sessionId: string): boolean;
  /**
   * In effect at once, durable when it resolves. Rejects with `store_unavailable` when the store is away or slow: then it
   * is written as soon as it can. `until`: Unix milliseconds.
   */
  add(sessionId: string, until: number): Promise<void>;
  /** Takes in what other processes have added. Rejects with what the store throws. */
  load(): Promise<void>;
  /** Writes what waits, if it can. */
  close(): Promise<void>;
}

export interface RevokedSessionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  onStoreFailure(error: unknown): void;
  /** In memory. Beyond, those are dropped that would end first. */
  readonly sessionsMax?: number;
}

const sessionsMaxDefault = 100_000;
const pruneMs = 60_000;
const retryMs = 1_000;
const batchMax = 500;
/** Who logs out does not wait longer for the store. */
const waitMsMax = 2_000;

/** Empty until it is loaded. */
export function createRevokedSessions(options: RevokedSessionsOptions): RevokedSessions {
  const { store, clock, onStoreFailure, sessionsMax = sessionsMaxDefault } = options;
  const { db } = store;
  /** Session id -> Unix milliseconds. */
  const sessions = new Map<string, number>();
  const unwritten = new Map<string, number>();
  let running: Promise<void> = Promise.resolve();
  let cancelPrune: (() => void) | null = null;
  let cancelRetry: (() => void) | null = null;
  let isClosed = false;

  function remember(sessionId: string, until: number): void {
    sessions.set(sessionId, until);
    if (sessions.size > sessionsMax) forget(findFirst(sessions));
    if (!isClosed) cancelPrune ??= clock.after(pruneMs, prune);
  }

  function forget(sessionId: string): void {
    sessions.delete(sessionId);
    unwritten.delete(sessionId);
  }

  function prune(): void {
    cancelPrune = null;
    const now = clock.wallNow();
    for (const [sessionId, until] of sessions) if (until <= now) forget(sessionId);
    if (sessions.size > 0) cancelPrune = clock.after(pruneMs, prune);
    running = running.then(() => deleteDead(db, now)).catch(onStoreFailure);
  }

  /** One batch after the other; whoever comes meanwhile goes with the next. */
  function writeAll(): Promise<void> {
    running = running.then(async () => {
      try {
        while (unwritten.size > 0) {
          const batch = [...unwritten].slice(0, batchMax);
          await store.writeBatch([
            ...batch.map(([sessionId, until]) => compileInsert(db, sessionId, until)),
            compileRevision(db, createRevision(clock.wallNow())),
          ]);
          for (const [sessionId] of batch) unwritten.delete(sessionId);
        }
      } catch (error) {
        onStoreFailure(error);
        if (!isClosed) cancelRetry ??= clock.after(retryMs, retry);
      }
    });
    return running;
  }

  function retry(): void {
    cancelRetry = null;
    void writeAll();
  }

  return {
    has(sessionId) {
      const until = sessions.get(sessionId);
      return until !== undefined && until > clock.wallNow();
    },
    async add(sessionId, until) {
      unwritten.set(sessionId, until);
      remember(sessionId, until);
      const { promise: isLate, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(waitMsMax, resolve);
      await Promise.race([writeAll(), isLate]);
      cancel();
      // A process that ends now would forget it: better not to say that it is done.
      if (unwritten.has(sessionId)) throw new Refusal("store_unavailable", { retryAfterMs: retryMs });
    },
    async load() {
      const rows = await db
        .selectFrom("revoked_sessions")
        .selectAll()
        .where("until", ">", Math.floor(clock.wallNow()))
        .orderBy("until", "desc")
        .limit(sessionsMax)
        .execute();
      for (const { session_id: sessionId, until } of rows) remember(sessionId, until);
    },
    async close() {
      isClosed = true;
      cancelPrune?.();
      cancelRetry?.();
      await writeAll();
    },
  };
}

function findFirst(sessions: ReadonlyMap<string, number>): string {
  let first = "";
  let firstUntil = Number.POSITIVE_INFINITY;
  for (const [sessionId, until] of sessions) {
    if (until >= firstUntil) continue;
    first = sessionId;
    firstUntil = until;
  }
  return first;
}

async function deleteDead(db: Db, now: number): Promise<void> {
  await db.deleteFrom("revoked_sessions").where("until", "<=", Math.floor(now)).execute();
}

function compileInsert(db: Db, sessionId: string, until: number) {
  return db
    .insertInto("revoked_sessions")
    .values({ session_id: sessionId, until: Math.ceil(until) })
    .onConflict((conflict) => conflict.column("session_id").doNothing())
    .compile();
}

function compileRevision(db: Db, value: string) {
  return db.updateTable("meta").set({ value }).where("name", "=", revisionNames.sessions).compile();
}
