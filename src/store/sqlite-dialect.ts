// Kysely on a SQLite thread. Who asks gets the one connection in turn, and a transaction keeps it to its end.

import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Door } from "./door.ts";
import type { SqliteThread } from "./sqlite-thread.ts";
import { toStorableParameters } from "./storable-text.ts";
import type { Turns } from "./turns.ts";

class WaitingAdapter extends SqliteAdapter {
  // Whoever asks waits for its turn here; Kysely need not count connections.
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export function createSqliteDialect(thread: SqliteThread, door: Door, turns: Turns): Dialect {
  /** Between the begin of a transaction and its end. */
  let isInside = false;

  async function run<Row>(sql: string, parameters: readonly unknown[]): Promise<QueryResult<Row>> {
    const values = toStorableParameters(parameters);
    const {
      rows = [],
      changes = 0,
      insertId = 0,
    } = await thread.ask({ kind: "run", sql, parameters: values, isInside });
    return { rows: rows as Row[], numAffectedRows: BigInt(changes), insertId: BigInt(insertId) };
  }
  const connection: DatabaseConnection = {
    executeQuery: <Row>({ sql, parameters }: CompiledQuery) => run<Row>(sql, parameters),
    async *streamQuery() {
      yield* [];
      throw new Error("SQLite queries are not streamed here");
    },
  };
  const driver: Driver = {
    async init() {},
    async acquireConnection() {
      door.enter();
      await turns.take();
      return connection;
    },
    async beginTransaction() {
      await run("begin immediate", []);
      isInside = true;
    },
    async commitTransaction() {
      await run("commit", []);
    },
    async rollbackTransaction() {
      await thread.ask({ kind: "rollback" });
    },
    async releaseConnection() {
      isInside = false;
      turns.give();
      door.leave();
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
