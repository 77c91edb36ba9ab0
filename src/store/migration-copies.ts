// The copies of a SQLite file that are kept before its tables are changed: `<file>.before-<migration>`, the last three.

import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { sql } from "kysely";
import type { Store } from "./store.ts";

export const copiesMax = 3;

/** Does nothing for a database in memory, and on PostgreSQL. Rejects with StoreError. */
export async function keepCopyBefore(migration: string, store: Store): Promise<void> {
  const file = await findFile(store);
  if (file === "") return;
  const copy = `${file}.before-${migration}`;
  // Of an attempt that failed: what is in the database now is as complete, and later.
  rmSync(copy, { force: true });
  await store.backup(copy);
  removeOldCopies(file);
}

async function findFile(store: Store): Promise<string> {
  if (store.kind !== "sqlite") return "";
  const { rows } = await sql<{ file: string }>`select file from pragma_database_list where name = 'main'`.execute(
    store.db,
  );
  return rows[0]?.file ?? "";
}

/** Migrations are named so that they sort by age. */
function removeOldCopies(file: string): void {
  const folder = dirname(file);
  const start = `${basename(file)}.before-`;
  const copies = readdirSync(folder).filter((name) => name.startsWith(start));
  for (const name of copies.sort().slice(0, -copiesMax)) rmSync(join(folder, name));
}
