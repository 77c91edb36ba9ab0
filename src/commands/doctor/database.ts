// Whether the database can be opened and is whole: by the server that has it, else by opening it.

import { existsSync } from "node:fs";
import type { LoadedConfig } from "../../config/config.ts";
import { connectStore, listMigrations } from "../../store/open-store.ts";
import { sql } from "../../store/sql.ts";
import { StoreError } from "../../store/store.ts";
import type { AdminClient } from "../client/admin-client.ts";
import { ask } from "../client/ask.ts";
import { CommandError } from "../command-error.ts";
import { plural } from "../output/words.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const restore = "stop the server and restore the last backup (docs/storage.md says how)";

/** Through the server that runs. */
export async function checkThroughServer(client: AdminClient): Promise<Finding[]> {
  try {
    await ask(client, "read the database", "GET", "/admin/calls?limit=1");
    return [ok("database", "the running gateway reads it")];
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [fail("database", error.message, "the server's log says more")];
  }
}

export async function checkDirectly({ settings }: LoadedConfig): Promise<Finding[]> {
  const target = settings.store;
  if (target.kind === "sqlite" && target.file === ":memory:") {
    return [
      warn("database", "it is in memory: nothing outlives the server", "take [store] url out of the configuration"),
    ];
  }
  if (target.kind === "sqlite" && !existsSync(target.file)) {
    return [ok("database", `${target.file} will be made at the first start`)];
  }
  try {
    const store = await connectStore(target);
    try {
      const missing = (await listMigrations(store)).filter(({ appliedAt }) => appliedAt === null).length;
      const findings =
        missing === 0
          ? []
          : [
              warn(
                "database",
                `${plural(missing, "migration is", "migrations are")} missing`,
                "glm-proxy migrate up, or start the server",
              ),
            ];
      if (store.kind === "postgres") return [ok("database", "PostgreSQL answers"), ...findings];
      const { rows } = await sql<{ quick_check: string }>`PRAGMA quick_check`.execute(store.db);
      const problem = rows.find(({ quick_check: text }) => text !== "ok");
      if (problem)
        return [
          fail(
            "database",
            `${target.kind === "sqlite" ? target.file : ""} is damaged: ${problem.quick_check}`,
            restore,
          ),
        ];
      return [ok("database", "it opens, and its check finds nothing wrong"), ...findings];
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return [fail("database", error.message, fixes[error.kind])];
  }
}

const fixes: Readonly<Record<StoreError["kind"], string>> = {
  locked: "find the process that holds it; with another data folder, name that with --data",
  unavailable: "see that the server of the database runs and that this account may use it",
  full: "make room on its disk",
  broken: restore,
  newer: "install the version that made it, or a later one",
  unmigrated: "glm-proxy migrate up",
  unsupported: "change [store] url",
};
