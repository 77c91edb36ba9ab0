// Opens the store that is configured and brings its tables up to date, under the database's own lock.

import { sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { type Clock, systemClock } from "../base/clock.ts";
import { keepCopyBefore } from "./migration-copies.ts";
import { migrations, type NamedMigration } from "./migrations.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { type Store, StoreError, type StoreTarget } from "./store.ts";

export interface OpenOptions {
  /** False: tables that are not up to date are an error of kind `unmigrated`. */
  readonly mayMigrate: boolean;
  /** Told of connections that break while nobody uses them. Default: nobody is. */
  onIdleError?(error: Error): void;
}

/** Rejects with StoreError. Whoever gets the store closes it. */
export async function openStore(target: StoreTarget, options: OpenOptions): Promise<Store> {
  const store = await connectStore(target, options.onIdleError);
  try {
    if (options.mayMigrate) await migrate(store);
    else await requireMigrated(store);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The store as it is, for `migrate`. */
export function connectStore(
  target: StoreTarget,
  onIdleError: (error: Error) => void = () => {},
  clock: Clock = systemClock,
): Promise<Store> {
  return target.kind === "sqlite"
    ? openSqliteStore(target.file, clock)
    : openPostgresStore({ url: target.url, clock, onIdleError });
}

export interface MigrationState {
  readonly name: string;
  /** Null: not applied. */
  readonly appliedAt: Date | null;
}

/** Rejects with StoreError. `known`: the history to compare with, by default this version's. */
export async function listMigrations(store: Store, known = migrations): Promise<readonly MigrationState[]> {
  await requireKnown(store, known);
  const states = await createMigrator(store, known).getMigrations();
  return states.map(({ name, executedAt }) => ({ name, appliedAt: executedAt ?? null }));
}

/**
 * Applies what is missing; all of it is done or nothing, whatever happens in between. Of a SQLite file that has tables
 * already, a copy is kept. Returns the names of those applied. Rejects with StoreError.
 */
export async function migrate(store: Store, known = migrations): Promise<readonly string[]> {
  const states = await listMigrations(store, known);
  const missing = states.find(({ appliedAt }) => appliedAt === null);
  if (missing && states.some(({ appliedAt }) => appliedAt !== null)) {
    await keepCopyBefore(
      missing.name,
      states.map(({ name }) => name),
      store,
    );
  }
  const { error, results = [] } = await createMigrator(store, known).migrateToLatest();
  if (error !== undefined) throw error;
  if (store.kind === "sqlite") await beginLog(store);
  return results.map(({ migrationName }) => migrationName);
}

/**
 * Takes all into the file itself, which would be a database without tables if it lost its log, and begins the new log with
 * the first page, by which it is known as this database's.
 */
async function beginLog({ db }: Store): Promise<void> {
  await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
  const { rows } = await sql<{ user_version: number }>`PRAGMA user_version`.execute(db);
  await sql`PRAGMA user_version = ${sql.lit(rows[0]?.user_version)}`.execute(db);
}

async function requireMigrated(store: Store): Promise<void> {
  const missing = (await listMigrations(store)).filter(({ appliedAt }) => appliedAt === null);
  if (missing.length === 0) return;
  throw new StoreError("unmigrated", "the database's tables are not up to date: run `glm-proxy migrate up`");
}

/** Tables that a later version or another program made are not touched by this one. */
async function requireKnown(store: Store, known: readonly NamedMigration[]): Promise<void> {
  const tables = await store.db.introspection.getTables({ withInternalKyselyTables: true });
  const tableNames = new Set(tables.map(({ name }) => name));
  if (!tableNames.has("kysely_migration")) {
    if (!["users", "groups", "calls"].some((name) => tableNames.has(name))) return;
    throw new StoreError("broken", "the database holds tables of another program: give glm-proxy one of its own");
  }
  const { rows } = await store.db.executeQuery<{ name: string }>(
    store.db
      .selectFrom("kysely_migration" as never)
      .select("name" as never)
      .compile() as never,
  );
  const knownNames = new Set(known.map(({ name }) => name));
  const unknown = rows.find(({ name }) => !knownNames.has(name));
  if (unknown === undefined) return;
  throw new StoreError(
    "newer",
    `the database was made by a later version of glm-proxy (it has ${unknown.name}): install that version, or restore an older backup`,
  );
}

function createMigrator(store: Store, known: readonly NamedMigration[]): Migrator {
  const provider = {
    getMigrations: () =>
      Promise.resolve(
        Object.fromEntries(
          known.map(({ name, up }): [string, Migration] => [name, { up: (db) => up(db, store.kind) }]),
        ),
      ),
  };
  return new Migrator({ db: store.db, provider });
}
