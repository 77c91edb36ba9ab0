// PostgreSQL, through a bounded pool.

import { Kysely, PostgresDialect, type PostgresPoolClient } from "kysely";
import { type Client, type ClientBase, Pool, type PoolClient } from "pg";
import type { Clock } from "../base/clock.ts";
import { createDoor } from "./door.ts";
import { toStoreError } from "./postgres-errors.ts";
import type { Tables } from "./schema.ts";
import { toStorableParameters } from "./storable-text.ts";
import { type Store, StoreError } from "./store.ts";

export interface PostgresOptions {
  readonly url: string;
  readonly clock: Clock;
  /** Told of connections that break while nobody uses them. */
  onIdleError(error: Error): void;
}

export const connectionsMax = 8;
/** Of a new connection, and of the wait for one that is free. */
const connectMsMax = 5_000;
/** The server gives up first: then the connection stays of use. */
const statementMsMax = 30_000;
const answerMsMax = 35_000;
const idleMsMax = 30_000;
/** Type ids (pg_type) of what our tables have beside text: whole numbers, sums, weights; all fit into a number. */
const numberTypes = new Set([20, 21, 23, 701, 1700]);
const booleanType = 16;

/** Rejects with StoreError when the server can't be reached. */
export async function openPostgresStore({ url, clock, onIdleError }: PostgresOptions): Promise<Store> {
  // What pg throws for such a one holds the whole of it.
  if (!URL.canParse(url)) throw new StoreError("unavailable", "the URL of the PostgreSQL database is malformed");
  const pool = new Pool({
    connectionString: url,
    max: connectionsMax,
    connectionTimeoutMillis: connectMsMax,
    query_timeout: answerMsMax,
    statement_timeout: statementMsMax,
    idleTimeoutMillis: idleMsMax,
    keepAlive: true,
    application_name: "glm-proxy",
    types: { getTypeParser: (id: number) => (text: string) => parseValue(id, text) } as never,
  });
  pool.on("error", onIdleError);
  // The pool listens to idle connections only. One that breaks in use fails what is asked of it; that is enough.
  pool.on("connect", (client: ClientBase) => client.on("error", () => {}));
  const door = createDoor(clock);
  const busy = new Set<PoolClient>();

  async function connect(): Promise<PostgresPoolClient> {
    door.enter();
    try {
      const client = await pool.connect();
      busy.add(client);
      return guard(client, () => {
        busy.delete(client);
        door.leave();
      });
    } catch (error) {
      door.leave();
      throw toStoreError(error);
    }
  }

  async function end(): Promise<void> {
    const areAllBack = await door.close();
    // Ends what is asked on them, and has them refuse what comes.
    if (!areAllBack) for (const client of busy) hangUp(client);
    const ended = pool.end();
    if (areAllBack) await ended;
  }

  try {
    (await connect()).release();
  } catch (error) {
    await end();
    throw error;
  }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: { connect, end, options: {} } }) });
  let closing: Promise<void> | null = null;
  return {
    kind: "postgres",
    db,
    reads: db,
    async writeBatch(statements) {
      const client = await connect();
      try {
        await client.query("begin", []);
        for (const { sql, parameters } of statements) await client.query(sql, parameters);
        await client.query("commit", []);
        client.release();
      } catch (error) {
        client.release(true);
        throw error;
      }
    },
    backup: () =>
      Promise.reject(new StoreError("unsupported", "PostgreSQL is backed up by its own tools: use pg_dump")),
    close() {
      closing ??= end();
      return closing;
    },
  };
}

/** The types of pg know this of a Client only. */
function hangUp(client: PoolClient): void {
  (client as unknown as Client).end().catch(() => {});
}

/** A connection whose errors are the store's, and whose texts are storable. */
function guard(client: PoolClient, onReleased: () => void): PostgresPoolClient {
  let isDoubtful = false;
  const query = async (sql: string, parameters: readonly unknown[]) => {
    try {
      return await client.query(sql, toStorableParameters(parameters));
    } catch (error) {
      const failure = toStoreError(error);
      // A connection of which nobody knows what it is in the middle of is not used again.
      isDoubtful ||= failure instanceof StoreError;
      // A transaction is undone by the loss of its connection; what failed in it is what counts.
      if (isDoubtful && sql === "rollback") return { command: "ROLLBACK", rowCount: null, rows: [] };
      throw failure;
    }
  };
  return {
    // Kysely's other half of it are cursors, which nobody asks for.
    query: query as never,
    release(isDiscarded = false) {
      client.release(isDiscarded || isDoubtful);
      onReleased();
    },
  };
}

function parseValue(typeId: number, text: string): unknown {
  if (numberTypes.has(typeId)) return Number(text);
  return typeId === booleanType ? text === "t" : text;
}
