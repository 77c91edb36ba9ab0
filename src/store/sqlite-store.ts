// SQLite: one writer on a thread of its own, and a reader beside it so that long reads keep no record waiting.

import { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import { createDoor } from "./door.ts";
import type { Tables } from "./schema.ts";
import { createSqliteDialect } from "./sqlite-dialect.ts";
import type { StatementRun } from "./sqlite-protocol.ts";
import { openSqliteThread, type SqliteThread } from "./sqlite-thread.ts";
import { toStorableParameters } from "./storable-text.ts";
import type { Statement, Store } from "./store.ts";
import { createTurns, type Turns } from "./turns.ts";

/** What was written is taken from the log into the file itself as often, where it was not by itself. */
const checkpointMs = 60_000;

/** Opens or creates the database as it is, without its tables. Rejects with StoreError. */
export async function openSqliteStore(file: string, clock: Clock): Promise<Store> {
  const writer = await openSqliteThread({ file, role: "writer" });
  // A database in memory belongs to its one connection.
  const isInMemory = file === ":memory:";
  const reader = isInMemory ? null : await openSqliteThread({ file, role: "reader" }).catch(closeAndThrow(writer));
  const door = createDoor(clock);
  const [writerTurns, backupTurns] = [createTurns(), createTurns()];
  const db = new Kysely<Tables>({ dialect: createSqliteDialect(writer, door, writerTurns) });
  const reads = reader ? new Kysely<Tables>({ dialect: createSqliteDialect(reader, door, createTurns()) }) : db;

  async function inTurn(turns: Turns, work: () => Promise<unknown>): Promise<void> {
    door.enter();
    try {
      await turns.take();
      try {
        await work();
      } finally {
        turns.give();
      }
    } finally {
      door.leave();
    }
  }

  let cancelCheckpoint = clock.after(checkpointMs, checkpoint);
  function checkpoint(): void {
    const ask = () => writer.ask({ kind: "run", sql: "PRAGMA wal_checkpoint(PASSIVE)", parameters: [] });
    // What fails here fails with the next write as well, and is reported there.
    inTurn(writerTurns, ask).catch(() => {});
    cancelCheckpoint = clock.after(checkpointMs, checkpoint);
  }

  return {
    kind: "sqlite",
    db,
    reads,
    writeBatch(statements) {
      const runs = toRuns(statements);
      return inTurn(writerTurns, () => writer.ask({ kind: "batch", runs }));
    },
    backup(target) {
      // On a thread of its own: neither writes nor reads wait for it.
      return isInMemory
        ? inTurn(writerTurns, () => writer.ask({ kind: "backup", file: target }))
        : inTurn(backupTurns, () => copyBeside(file, target));
    },
    async close() {
      cancelCheckpoint();
      await door.close();
      // The writer last: it takes what is in the log into the file.
      await reader?.close();
      await writer.close();
    },
  };
}

/** In order; neighbours with the same text are one run. */
function toRuns(statements: readonly Statement[]): StatementRun[] {
  const runs: StatementRun[] = [];
  for (const { sql, parameters } of statements) {
    const row = toStorableParameters(parameters);
    const last = runs.at(-1);
    if (last?.sql === sql) last.rows.push(row);
    else runs.push({ sql, rows: [row] });
  }
  return runs;
}

async function copyBeside(file: string, target: string): Promise<void> {
  const copier = await openSqliteThread({ file, role: "reader" });
  try {
    await copier.ask({ kind: "backup", file: target });
  } finally {
    await copier.close();
  }
}

function closeAndThrow(thread: SqliteThread) {
  return async (error: unknown): Promise<never> => {
    await thread.close();
    throw error;
  };
}
