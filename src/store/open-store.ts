// Opens the store that is configured and brings its tables up to date, under the database's own lock.

import { type Migration, Migrator } from "kysely/migration";
import { migrations } from "./migrations.ts";
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
export function connectStore(target: StoreTarget, onIdleError: (error: Error) => void = () => {}): Promise<Store> {
  return target.kind === "sqlite" ? openSqliteStore(target.file) : openPostgresStore({ url: target.url, onIdleError });
}

export interface MigrationState {
  readonly name: string;
  /** Null: not applied. */
  readonly appliedAt: Date | null;
}

export async function listMigrations(store: Store): Promise<readonly MigrationState[]> {
  await requireKnown(store);
  const states = await createMigrator(store).getMigrations();
  return states.map(({ name, executedAt }) => ({ name, appliedAt: executedAt ?? null }));
}

/** Applies what is missing; each is done wholly or not at all. Returns the names of those applied. */
export async function migrate(store: Store): Promise<readonly string[]> {
  await requireKnown(store);
  const { error, results = [] } = await createMigrator(store).migrateToLatest();
  if (error !== undefined) throw error;
  return results.map(({ migrationName }) => migrationName);
}

async function requireMigrated(store: Store): Promise<void> {
  const missing = (await listMigrations(store)).filter(({ appliedAt }) => appliedAt === null);
  if (missing.length === 0) return;
  throw new StoreError("unmigrated", "the database's tables are not up to date: run `glm-proxy migrate up`");
}

/** Tables that a later version made are not touched by this one. */
async function requireKnown(store: Store): Promise<void> {
  const tables = await store.db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === "kysely_migration")) return;
  const known = new Set(migrations.map(({ name }) => name));
  const { rows } = await store.db.executeQuery<{ name: string }>(
    store.db
      .selectFrom("kysely_migration" as never)
      .select("name" as never)
      .compile() as never,
  );
  const unknown = rows.find(({ name }) => !known.has(name));
  if (unknown === undefined) return;
  throw new StoreError(
    "newer",
    `the database was made by a later version of glm-proxy (it has ${unknown.name}): install that version, or restore an older backup`,
  );
}

function createMigrator(store: Store): Migrator {
  const provider = {
    getMigrations: () =>
      Promise.resolve(
        Object.fromEntries(
          migrations.map(({ name, up }): [string, Migration] => [name, { up: (db) => up(db, store.kind) }]),
        ),
      ),
  };
  return new Migrator({ db: store.db, provider });
}
