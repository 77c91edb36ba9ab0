// Counters of a kind in `meta` by which processes that share a database know that something changed: a new value with
// each change. Whoever replaces the value that it knows has seen all that was changed before.

import { createUuid7 } from "../base/uuid7.ts";
import type { Db } from "../store/store.ts";

/** directory: users, groups and keys · sessions: those that were logged out */
export const revisionNames = { directory: "directory_revision", sessions: "sessions_revision" } as const;
export type RevisionName = keyof typeof revisionNames;

/** Makes those that are missing. */
export async function ensureRevisions(db: Db): Promise<void> {
  await db
    .insertInto("meta")
    .values(Object.values(revisionNames).map((name) => ({ name, value: "0" })))
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
}

export async function readRevisions(db: Db): Promise<Readonly<Record<RevisionName, string>>> {
  const rows = await db.selectFrom("meta").selectAll().where("name", "in", Object.values(revisionNames)).execute();
  const find = (name: RevisionName) => rows.find((row) => row.name === revisionNames[name])?.value ?? "";
  return { directory: find("directory"), sessions: find("sessions") };
}

/**
 * Within a transaction, before all else: nobody else can change anything until it ends. False: somebody has changed
 * something that we have not seen.
 */
export async function claimRevision(db: Db, known: string, next: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("meta")
    .set({ value: next })
    .where("name", "=", revisionNames.directory)
    .where("value", "=", known)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export function createRevision(wallNowMs: number): string {
  return createUuid7(wallNowMs);
}
