// Makes changes, one at a time: checked against what is in memory, written with their audit record in one transaction,
// in effect when that is durable. Where another process shares the database, memory catches up first.
//
//   plan ──> transaction: claim the revision ── write ── audit ──> apply to memory
//     ^            | somebody else was faster
//     └── reload ──┘

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Db, Store } from "../store/store.ts";
import type { AuditNote } from "./audit-notes.ts";
import type { Actor } from "./people.ts";
import { claimRevision, createRevision, readRevisions } from "./revisions.ts";
import { toRefusal } from "./store-failures.ts";
import { insertAudit } from "./tables.ts";

export interface Change<Result> {
  write(db: Db): Promise<void>;
  readonly note: AuditNote;
  /** In memory, now that it is durable. */
  apply(): Result;
}

export interface Changes {
  /** `plan` throws a Refusal, or says what to do. It may be asked again. Rejects with Refusal. */
  make<Result>(actor: Actor, plan: () => Change<Result> | Promise<Change<Result>>): Promise<Result>;
  /** Takes in what other processes have changed, if any did. Rejects with what the store throws. */
  catchUp(): Promise<void>;
  /** Resolves when what was begun is done. Further changes are refused. */
  close(): Promise<void>;
}

export interface ChangesOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Reads everything anew; returns its revision. */
  load(): Promise<string>;
  /** As loaded at the start. */
  readonly revision: string;
  onStoreFailure(error: unknown): void;
  readonly waitingMax?: number;
}

/** Each waits for those before it, password hashes included. */
const waitingMaxDefault = 64;
/** How often others may be faster. */
const triesMax = 10;

export function createChanges(options: ChangesOptions): Changes {
  const { store, clock, load, onStoreFailure, waitingMax = waitingMaxDefault } = options;
  let revision = options.revision;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let isClosed = false;

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  }

  async function make<Result>(actor: Actor, plan: () => Change<Result> | Promise<Change<Result>>): Promise<Result> {
    if (isClosed || waiting >= waitingMax) throw new Refusal("store_unavailable", { retryAfterMs: 2_000 });
    waiting++;
    try {
      return await inTurn(() => tryToMake(actor, plan));
    } finally {
      waiting--;
    }
  }

  async function tryToMake<Result>(
    actor: Actor,
    plan: () => Change<Result> | Promise<Change<Result>>,
  ): Promise<Result> {
    try {
      for (let tries = 0; tries < triesMax; tries++) {
        const change = await plan();
        if (await write(change, actor)) return change.apply();
        revision = await load();
      }
      throw new Refusal("conflict", { detail: "others keep changing things at the same time: try again" });
    } catch (error) {
      if (error instanceof Refusal) throw error;
      onStoreFailure(error);
      // It may have been done all the same, when the connection broke in the middle of the commit.
      inTurn(catchUpNow).catch(onStoreFailure);
      throw toRefusal(error);
    }
  }

  /** False: nothing was written, because memory was behind. */
  async function write({ write, note }: Change<unknown>, actor: Actor): Promise<boolean> {
    const at = Math.round(clock.wallNow());
    const next = createRevision(at);
    const isWritten = await store.db.transaction().execute(async (transaction) => {
      if (!(await claimRevision(transaction, revision, next))) return false;
      await write(transaction);
      await insertAudit(transaction, note, actor, at);
      return true;
    });
    if (isWritten) revision = next;
    return isWritten;
  }

  async function catchUpNow(): Promise<void> {
    const { directory } = await readRevisions(store.db);
    if (directory !== revision) revision = await load();
  }

  return {
    make,
    catchUp: () => inTurn(catchUpNow),
    async close() {
      isClosed = true;
      for (let seen: unknown = null; seen !== last; ) {
        seen = last;
        await last;
      }
    },
  };
}
