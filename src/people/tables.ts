// The questions that people, groups, keys and their audit put to the database. Nothing is decided here.

import type { Db } from "../store/store.ts";
import type { AuditNote } from "./audit-notes.ts";
import type { Actor, AuditEntry, AuditFilter } from "./people.ts";
import {
  type StoredGroup,
  type StoredKey,
  type StoredUser,
  toAuditEntry,
  toAuditRow,
  toGroupRow,
  toKeyRow,
  toStoredGroup,
  toStoredKey,
  toStoredUser,
  toUserRow,
} from "./rows.ts";

export interface Everybody {
  readonly users: readonly StoredUser[];
  readonly groups: readonly StoredGroup[];
  readonly keys: readonly StoredKey[];
}

/** At most one more of each than `max` says. */
export async function readEverybody(
  db: Db,
  max: { readonly users: number; readonly groups: number; readonly keys: number },
): Promise<Everybody> {
  const users = await db
    .selectFrom("users")
    .selectAll()
    .limit(max.users + 1)
    .execute();
  const groups = await db
    .selectFrom("groups")
    .selectAll()
    .limit(max.groups + 1)
    .execute();
  const keys = await db
    .selectFrom("api_keys")
    .selectAll()
    .limit(max.keys + 1)
    .execute();
  return { users: users.map(toStoredUser), groups: groups.map(toStoredGroup), keys: keys.map(toStoredKey) };
}

export async function insertUser(db: Db, user: StoredUser): Promise<void> {
  await db.insertInto("users").values(toUserRow(user)).execute();
}

export async function updateUser(db: Db, user: StoredUser): Promise<void> {
  const { name, created_at: _, ...row } = toUserRow(user);
  await db.updateTable("users").set(row).where("name", "=", name).execute();
}

export async function deleteUser(db: Db, name: string): Promise<void> {
  await db.deleteFrom("users").where("name", "=", name).execute();
}

export async function insertGroup(db: Db, group: StoredGroup): Promise<void> {
  await db.insertInto("groups").values(toGroupRow(group)).execute();
}

export async function updateGroup(db: Db, group: StoredGroup): Promise<void> {
  const { name, created_at: _, ...row } = toGroupRow(group);
  await db.updateTable("groups").set(row).where("name", "=", name).execute();
}

export async function deleteGroup(db: Db, name: string): Promise<void> {
  await db.deleteFrom("groups").where("name", "=", name).execute();
}

export async function insertKey(db: Db, key: StoredKey): Promise<void> {
  await db.insertInto("api_keys").values(toKeyRow(key)).execute();
}

/** All that can change of a key but its last use. */
export async function updateKey(db: Db, key: StoredKey): Promise<void> {
  const {
    name,
    models,
    class: trafficClass,
    limits,
    runs_jobs,
    is_locked,
    keeps_content,
    caches_answers,
    expires_at,
    revoked_at,
    replaced_by,
  } = toKeyRow(key);
  await db
    .updateTable("api_keys")
    .set({
      name,
      models,
      class: trafficClass,
      limits,
      runs_jobs,
      is_locked,
      keeps_content,
      caches_answers,
      expires_at,
      revoked_at,
      replaced_by,
    })
    .where("id", "=", key.view.id)
    .execute();
}

export async function deleteKey(db: Db, id: string): Promise<void> {
  await db.deleteFrom("api_keys").where("id", "=", id).execute();
}

export async function deleteKeysOf(db: Db, owner: string): Promise<void> {
  await db.deleteFrom("api_keys").where("owner", "=", owner).execute();
}

export async function insertAudit(db: Db, note: AuditNote, actor: Actor, at: number): Promise<void> {
  await db
    .insertInto("audit")
    .values(toAuditRow(note, actor, at))
    .execute();
}

/** Newest first. */
export async function readAudit(db: Db, filter: AuditFilter): Promise<readonly AuditEntry[]> {
  const { limit, beforeId, actor, action, target } = filter;
  let query = db.selectFrom("audit").selectAll().orderBy("id", "desc").limit(limit);
  if (beforeId !== null) query = query.where("id", "<", beforeId);
  if (actor !== undefined) query = query.where("actor", "=", actor);
  if (action !== undefined) query = query.where("action", "=", action);
  if (target !== undefined) query = query.where("target", "=", target);
  return (await query.execute()).map(toAuditEntry);
}
