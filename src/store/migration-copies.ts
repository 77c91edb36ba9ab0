// The copies of a SQLite file that are kept before its tables are changed: `<file>.before-<migration>`, the last three.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { sql } from "kysely";
import { requirePlainFile } from "../base/own-files.ts";
import { toStoreError, toThreadError } from "./sqlite-errors.ts";
import { requireOwnDatabase } from "./sqlite-file.ts";
import type { Store } from "./store.ts";

export const copiesMax = 3;

/**
 * Does nothing for a database in memory, and on PostgreSQL. `known`: the migrations that copies may be named after. Rejects
 * with StoreError.
 */
export async function keepCopyBefore(migration: string, known: readonly string[], store: Store): Promise<void> {
  const file = await findFile(store);
  if (file === "") return;
  const copy = `${file}.before-${migration}`;
  if (existsSync(copy)) {
    requireOwn(copy);
    // Of an attempt that failed: what is in the database now is as complete, and later.
    rmSync(copy);
  }
  await store.backup(copy);
  removeOldCopies(file, new Set(known));
}

/** Something else may have that name by chance. */
function requireOwn(copy: string): void {
  try {
    requirePlainFile(copy);
    requireOwnDatabase(copy);
  } catch (error) {
    throw toStoreError(toThreadError(error), copy);
  }
}

async function findFile(store: Store): Promise<string> {
  if (store.kind !== "sqlite") return "";
  const { rows } = await sql<{ file: string }>`select file from pragma_database_list where name = 'main'`.execute(
    store.db,
  );
  return rows[0]?.file ?? "";
}

/** Migrations are named so that they sort by age. Files of other names are somebody else's. */
function removeOldCopies(file: string, known: ReadonlySet<string>): void {
  const folder = dirname(file);
  const start = `${basename(file)}.before-`;
  const copies = readdirSync(folder).filter((name) => name.startsWith(start) && known.has(name.slice(start.length)));
  for (const name of copies.sort().slice(0, -copiesMax)) {
    requireOwn(join(folder, name));
    rmSync(join(folder, name));
  }
}
