// SQLite: one writer on a thread of its own, and a reader beside it so that long reads keep no record waiting.

import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Tables } from "./schema.ts";
import { openSqliteThread, type SqliteThread } from "./sqlite-thread.ts";
import type { Statement, Store } from "./store.ts";

/** Opens or creates the database as it is, without its tables. Rejects with StoreError. */
export async function openSqliteStore(file: string): Promise<Store> {
  const writer = await openSqliteThread({ file, role: "writer" });
  const turns = createTurns();
  const db = new Kysely<Tables>({ dialect: createDialect(writer, turns) });
  // A database in memory belongs to its one connection.
  const reader =
    file === ":memory:" ? null : await openSqliteThread({ file, role: "reader" }).catch(closeAndThrow(writer));
  const reads = reader === null ? db : new Kysely<Tables>({ dialect: createDialect(reader, createTurns()) });

  return {
    kind: "sqlite",
    db,
    reads,
    async writeBatch(statements: readonly Statement[]) {
      await turns.take();
      try {
        await writer.ask({ kind: "batch", statements });
      } finally {
        turns.give();
      }
    },
    async backup(target) {
      await (reader ?? writer).ask({ kind: "backup", file: target });
    },
    async close() {
      await turns.take();
      await reader?.close();
      await writer.close();
      // Whoever waits, or comes later, hears that it is closed.
      turns.give();
    },
  };
}

function closeAndThrow(thread: SqliteThread) {
  return async (error: unknown): Promise<never> => {
    await thread.close();
    throw error;
  };
}

/** One connection, many who want it: a transaction keeps it from its begin to its end. */
interface Turns {
  take(): Promise<void>;
  give(): void;
}

function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let isTaken = false;
  return {
    async take() {
      if (!isTaken) {
        isTaken = true;
        return;
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    },
    give() {
      const next = waiting.shift();
      if (next) next();
      else isTaken = false;
    },
  };
}

class WaitingAdapter extends SqliteAdapter {
  // Whoever asks gets a connection in turn; Kysely need not count them.
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDialect(thread: SqliteThread, turns: Turns): Dialect {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows = [], changes = 0, insertId = 0 } = await thread.ask({ kind: "run", sql, parameters });
      return { rows: rows as Row[], numAffectedRows: BigInt(changes), insertId: BigInt(insertId) };
    },
    async *streamQuery() {
      yield* [];
      throw new Error("SQLite queries are not streamed here");
    },
  };
  const raw = (sql: string) => connection.executeQuery(CompiledQuery.raw(sql));
  const driver: Driver = {
    async init() {},
    async acquireConnection() {
      await turns.take();
      return connection;
    },
    async beginTransaction() {
      await raw("begin immediate");
    },
    async commitTransaction() {
      await raw("commit");
    },
    async rollbackTransaction() {
      await raw("rollback");
    },
    async releaseConnection() {
      turns.give();
    },
    async destroy() {},
  };
  return {
    createAdapter: () => new WaitingAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}
