// The tables' history, oldest first. A migration that was released is never changed; a new one is a new entry at the
// end. The same code makes both databases: types that both know, and text for JSON.

import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Store } from "./store.ts";

export interface NamedMigration {
  /** Sorts by age. */
  readonly name: string;
  up(db: Kysely<unknown>, kind: Store["kind"]): Promise<void>;
}

export const migrations: readonly NamedMigration[] = [
  { name: "0001-people-and-ledger", up: createPeopleAndLedger },
  { name: "0002-signing-keys-and-objects", up: addSigningKeysAndObjects },
  { name: "0003-rights-to-jobs-and-locked-keys", up: addRightsToJobsAndLockedKeys },
];

async function createPeopleAndLedger(db: Kysely<unknown>, kind: Store["kind"]): Promise<void> {
  const { schema } = db;
  const name = nameType(kind);
  await schema
    .createTable("groups")
    .addColumn("name", name, (column) => column.primaryKey().notNull())
    .addColumn("weight", "double precision")
    .addColumn("class", "text")
    .addColumn("limits", "text", (column) => column.notNull())
    .addColumn("member_limits", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("updated_at", "bigint", (column) => column.notNull())
    .execute();
  await schema
    .createTable("users")
    .addColumn("name", name, (column) => column.primaryKey().notNull())
    .addColumn("password_hash", "text")
    .addColumn("role", "text", (column) => column.notNull().check(sql`role in ('user', 'admin')`))
    .addColumn("group_name", name, (column) => column.references("groups.name"))
    .addColumn("weight", "double precision")
    .addColumn("class", "text")
    .addColumn("limits", "text", (column) => column.notNull())
    .addColumn("is_enabled", "integer", (column) => column.notNull().check(sql`is_enabled in (0, 1)`))
    .addColumn("expires_at", "bigint")
    .addColumn("tokens_valid_from", "bigint", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("updated_at", "bigint", (column) => column.notNull())
    .execute();
  await schema
    .createTable("api_keys")
    .addColumn("id", name, (column) => column.primaryKey().notNull())
    .addColumn("owner", name, (column) => column.notNull())
    .addColumn("name", name, (column) => column.notNull())
    .addColumn("prefix", "text", (column) => column.notNull())
    .addColumn("hash", "text", (column) => column.notNull().unique())
    .addColumn("scope", "text", (column) => column.notNull().check(sql`scope in ('calls', 'admin')`))
    .addColumn("models", "text")
    .addColumn("class", "text")
    .addColumn("limits", "text", (column) => column.notNull())
    .addColumn("keeps_content", "integer", (column) => column.notNull().check(sql`keeps_content in (0, 1)`))
    .addColumn("expires_at", "bigint")
    .addColumn("revoked_at", "bigint")
    .addColumn("replaced_by", "text")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("last_used_at", "bigint")
    .execute();
  await schema.createIndex("api_keys_by_owner").on("api_keys").columns(["owner", "id"]).execute();
  await schema
    .createTable("revoked_sessions")
    .addColumn("session_id", name, (column) => column.primaryKey().notNull())
    .addColumn("until", "bigint", (column) => column.notNull())
    .execute();
  await createCalls(db, kind);
  await schema
    .createTable("audit")
    .addColumn("id", kind === "postgres" ? "bigserial" : "integer", (column) =>
      kind === "postgres" ? column.notNull().primaryKey() : column.notNull().primaryKey().autoIncrement(),
    )
    .addColumn("at", "bigint", (column) => column.notNull())
    .addColumn("actor", "text", (column) => column.notNull())
    .addColumn("via", "text", (column) => column.notNull())
    .addColumn("address", "text")
    .addColumn("request_id", "text")
    .addColumn("action", "text", (column) => column.notNull())
    .addColumn("target", "text", (column) => column.notNull())
    .addColumn("before", "text")
    .addColumn("after", "text")
    .execute();
  await schema
    .createTable("meta")
    .addColumn("name", name, (column) => column.primaryKey().notNull())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
}

async function createCalls({ schema }: Kysely<unknown>, kind: Store["kind"]): Promise<void> {
  const name = nameType(kind);
  await schema
    .createTable("calls")
    .addColumn("id", name, (column) => column.primaryKey().notNull())
    .addColumn("request_id", "text", (column) => column.notNull())
    .addColumn("instance", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) =>
      column.notNull().check(sql`state in ('open', 'served', 'refused', 'cut', 'cancelled', 'unknown')`),
    )
    .addColumn("user_name", name, (column) => column.notNull())
    .addColumn("group_name", name)
    .addColumn("key_id", name)
    .addColumn("surface", "text", (column) => column.notNull())
    .addColumn("model", "text")
    .addColumn("upstream_key", "text")
    .addColumn("is_stream", "integer", (column) => column.notNull())
    .addColumn("arrived_at", "bigint", (column) => column.notNull())
    .addColumn("granted_at", "bigint")
    .addColumn("sent_at", "bigint")
    .addColumn("first_byte_at", "bigint")
    .addColumn("ended_at", "bigint")
    .addColumn("bytes_in", "bigint", (column) => column.notNull())
    .addColumn("bytes_out", "bigint", (column) => column.notNull())
    .addColumn("events", "bigint", (column) => column.notNull())
    .addColumn("tries", "integer", (column) => column.notNull())
    .addColumn("queue_position", "integer")
    .addColumn("requests", "integer", (column) => column.notNull())
    .addColumn("prompt_tokens", "bigint", (column) => column.notNull())
    .addColumn("completion_tokens", "bigint", (column) => column.notNull())
    .addColumn("tokens_source", "text", (column) => column.notNull())
    .addColumn("cost_micros", "bigint", (column) => column.notNull())
    .addColumn("status", "integer")
    .addColumn("reason", "text")
    .addColumn("upstream_status", "integer")
    .addColumn("upstream_code", "text")
    .addColumn("upstream_request_id", "text")
    .addColumn("finish_reason", "text")
    .execute();
  await schema.createIndex("calls_by_arrival").on("calls").columns(["arrived_at"]).execute();
  await schema.createIndex("calls_by_user").on("calls").columns(["user_name", "arrived_at"]).execute();
  await schema.createIndex("calls_by_key").on("calls").columns(["key_id", "arrived_at"]).execute();
  await schema
    .createIndex("calls_open")
    .on("calls")
    .columns(["instance"])
    .where(sql.ref("state"), "=", sql.lit("open"))
    .execute();
  await schema
    .createTable("call_contents")
    .addColumn("call_id", name, (column) => column.primaryKey().notNull())
    .addColumn("prompt", "text", (column) => column.notNull())
    .addColumn("answer", "text", (column) => column.notNull())
    .addColumn("stored_at", "bigint", (column) => column.notNull())
    .execute();
  await schema.createIndex("call_contents_by_age").on("call_contents").columns(["stored_at"]).execute();
  await schema
    .createTable("usage_days")
    .addColumn("day", name, (column) => column.notNull())
    .addColumn("user_name", name, (column) => column.notNull())
    .addColumn("group_name", name, (column) => column.notNull())
    .addColumn("key_id", name, (column) => column.notNull())
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("calls", "bigint", (column) => column.notNull())
    .addColumn("served", "bigint", (column) => column.notNull())
    .addColumn("requests", "bigint", (column) => column.notNull())
    .addColumn("prompt_tokens", "bigint", (column) => column.notNull())
    .addColumn("completion_tokens", "bigint", (column) => column.notNull())
    .addColumn("cost_micros", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("usage_days_key", ["day", "user_name", "group_name", "key_id", "model"])
    .execute();
}

/** Names and ids sort by their bytes, in both databases. */
function nameType(kind: Store["kind"]): "text" | RawBuilder<unknown> {
  return kind === "postgres" ? sql`text collate "C"` : "text";
}

async function addSigningKeysAndObjects(db: Kysely<unknown>, kind: Store["kind"]): Promise<void> {
  const name = nameType(kind);
  await db.schema
    .alterTable("api_keys")
    .addColumn("caches_answers", "integer", (column) =>
      column.notNull().defaultTo(0).check(sql`caches_answers in (0, 1)`),
    )
    .execute();
  // One column each: SQLite adds no more at once.
  await db.schema
    .alterTable("api_keys")
    .addColumn("signs_tokens", "integer", (column) => column.notNull().defaultTo(0).check(sql`signs_tokens in (0, 1)`))
    .execute();
  await db.schema
    .createTable("upstream_objects")
    .addColumn("id", name, (column) => column.primaryKey().notNull())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("upstream_key", name, (column) => column.notNull())
    .addColumn("owner", name, (column) => column.notNull())
    .addColumn("key_id", name)
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("upstream_objects_by_age").on("upstream_objects").column("created_at").execute();
}

async function addRightsToJobsAndLockedKeys({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable("users")
    .addColumn("runs_jobs", "integer", (column) => column.check(sql`runs_jobs in (0, 1)`))
    .execute();
  for (const [table, name] of [
    ["groups", "runs_jobs"],
    ["api_keys", "runs_jobs"],
    ["api_keys", "is_locked"],
  ] as const) {
    await schema
      .alterTable(table)
      .addColumn(name, "integer", (column) =>
        column
          .notNull()
          .defaultTo(0)
          .check(sql`${sql.ref(name)} in (0, 1)`),
      )
      .execute();
  }
  await schema
    .createIndex("upstream_objects_by_owner")
    .on("upstream_objects")
    .columns(["owner", "kind", "created_at"])
    .execute();
}
