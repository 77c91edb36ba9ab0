// PostgreSQL, through a bounded pool.

import { Kysely, PostgresDialect } from "kysely";
import { DatabaseError, Pool } from "pg";
import type { Tables } from "./schema.ts";
import { type Statement, type Store, StoreError } from "./store.ts";

export interface PostgresOptions {
  readonly url: string;
  /** Told of connections that break while nobody uses them. */
  onIdleError(error: Error): void;
}

const connectionsMax = 8;
const connectMsMax = 5_000;
const queryMsMax = 30_000;
/** Type ids of bigint and numeric (pg_type): sums and times, which fit into a number. */
const wholeNumberTypes = new Set([20, 1700]);

/** Rejects with StoreError when the server can't be reached. */
export async function openPostgresStore({ url, onIdleError }: PostgresOptions): Promise<Store> {
  const pool = new Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: connectMsMax,
    query_timeout: queryMsMax,
    statement_timeout: queryMsMax,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: "glm-proxy",
    types: {
      getTypeParser: (id: number) => (text: string) => parseValue(id, text),
    } as never,
  });
  pool.on("error", onIdleError);
  try {
    (await pool.connect()).release();
  } catch (error) {
    await pool.end();
    throw toStoreError(error);
  }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });

  return {
    kind: "postgres",
    db,
    reads: db,
    async writeBatch(statements: readonly Statement[]) {
      const client = await pool.connect().catch((error: unknown) => {
        throw toStoreError(error);
      });
      try {
        await client.query("begin");
        for (const { sql, parameters } of statements) await client.query(sql, parameters as unknown[]);
        await client.query("commit");
        client.release();
      } catch (error) {
        // A connection of which nobody knows what it is in the middle of is not used again.
        client.release(true);
        throw toStoreError(error);
      }
    },
    backup: () =>
      Promise.reject(new StoreError("unsupported", "PostgreSQL is backed up by its own tools: use pg_dump")),
    close: () => db.destroy(),
  };
}

/** Only the types that our tables have come as anything but text. */
function parseValue(typeId: number, text: string): unknown {
  if (wholeNumberTypes.has(typeId) || typeId === 21 || typeId === 23 || typeId === 701) return Number(text);
  return typeId === 16 ? text === "t" : text;
}

/** Never with the URL, which may hold a password. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof StoreError) return error;
  const { code = "", message = "" } = error as { code?: string; message?: string };
  if (error instanceof DatabaseError) {
    if (code.startsWith("53"))
      return new StoreError(code === "53100" ? "full" : "unavailable", `PostgreSQL: ${message}`, error);
    const isPassing =
      code.startsWith("08") || code.startsWith("57P") || code === "25006" || code.startsWith("28") || code === "3D000";
    return isPassing ? new StoreError("unavailable", `PostgreSQL: ${message}`, error) : error;
  }
  return new StoreError("unavailable", `cannot reach PostgreSQL: ${message || code || "no connection"}`, error);
}
