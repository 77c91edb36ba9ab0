// A thread that owns one SQLite connection: the writer, or a reader beside it. Runs what it is sent, one after the
// other, and answers. The other side is sqlite-thread.ts. In a bundle, this file is a part of the whole: it serves only
// where it was started as such a thread.

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { isMainThread, type MessagePort, parentPort, workerData } from "node:worker_threads";
import { toThreadError } from "./sqlite-errors.ts";
import { copyDatabase, DatabaseFileError, openForReading, openForWriting, takeFile } from "./sqlite-file.ts";
import type { StatementRun, ThreadAnswer, ThreadOptions, ThreadRequest } from "./sqlite-protocol.ts";
import { createStatementCache, type StatementCache } from "./statement-cache.ts";
import type { Statement } from "./store.ts";

const abortCode = 4;
const ioErrorCode = 10;
const statementsMax = 200;

class Connection {
  readonly #file: string;
  readonly #isReader: boolean;
  /** Held as long as the process lives: a second one finds it taken. */
  readonly #lock: DatabaseSync | null = null;
  /** Null after a failure of the disk, until it can be opened again. */
  #open: { readonly database: DatabaseSync; readonly statements: StatementCache<StatementSync> } | null = null;

  constructor({ file, role }: ThreadOptions) {
    this.#file = file;
    this.#isReader = role === "reader";
    if (!this.#isReader && file !== ":memory:") {
      const taken = takeFile(file);
      this.#file = taken.file;
      this.#lock = taken.lock;
    }
    try {
      this.#require(true);
    } catch (error) {
      this.#lock?.close();
      throw error;
    }
  }

  #require(mayCreate = false) {
    if (this.#open) return this.#open;
    const database = this.#isReader ? openForReading(this.#file) : openForWriting(this.#file, mayCreate);
    this.#open = { database, statements: createStatementCache(statementsMax, (sql) => database.prepare(sql)) };
    return this.#open;
  }

  run({ sql, parameters }: Statement, isInside = false): Omit<ThreadAnswer, "id"> {
    const { database, statements } = this.#require();
    if (isInside && !database.isTransaction) {
      throw new DatabaseFileError(abortCode, "the transaction was undone by a failure before");
    }
    const statement = statements.get(sql);
    const values = parameters as SQLInputValue[];
    if (statement.columns().length > 0) return { rows: statement.all(...values) };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { changes: Number(changes), insertId: Number(lastInsertRowid) };
  }

  /** All or none. */
  runBatch(runs: readonly StatementRun[]): void {
    const { database, statements } = this.#require();
    database.exec("BEGIN IMMEDIATE");
    try {
      for (const { sql, rows } of runs) {
        const statement = statements.get(sql);
        for (const row of rows) statement.run(...(row as SQLInputValue[]));
      }
      database.exec("COMMIT");
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** A full disk may have ended the transaction already. */
  rollback(): void {
    if (this.#open?.database.isTransaction) this.#open.database.exec("ROLLBACK");
  }

  copyTo(file: string): void {
    copyDatabase(this.#require().database, file);
  }

  /** After a failed write nothing that SQLite holds of the file can be trusted: an fsync that failed is not repeatable. */
  forget(): void {
    try {
      this.#open?.database.close();
    } catch {
      // It is given up anyway.
    }
    this.#open = null;
  }

  close(): void {
    this.#open?.database.close();
    this.#open = null;
    this.#lock?.close();
  }
}

function answer(connection: Connection, request: ThreadRequest): ThreadAnswer {
  const { id } = request;
  try {
    switch (request.kind) {
      case "run":
        return { id, ...connection.run(request, request.isInside) };
      case "rollback":
        connection.rollback();
        return { id };
      case "batch":
        connection.runBatch(request.runs);
        return { id };
      case "backup":
        connection.copyTo(request.file);
        return { id };
      case "close":
        connection.close();
        return { id };
    }
  } catch (error) {
    const failure = toThreadError(error);
    if ((failure.errcode & 0xff) === ioErrorCode && request.kind !== "backup") connection.forget();
    return { id, error: failure };
  }
}

function serve(port: MessagePort, options: ThreadOptions): void {
  let connection: Connection;
  try {
    connection = new Connection(options);
  } catch (error) {
    port.postMessage({ id: 0, error: toThreadError(error) } satisfies ThreadAnswer);
    return;
  }
  port.postMessage({ id: 0 } satisfies ThreadAnswer);
  port.on("message", (request: ThreadRequest) => {
    port.postMessage(answer(connection, request));
    if (request.kind === "close") port.close();
  });
}

const options = workerData as { sqliteThread?: ThreadOptions } | null;
if (!isMainThread && parentPort && options?.sqliteThread) serve(parentPort, options.sqliteThread);

/** What a Worker is started with: this very file, or the bundle that it is a part of. */
export const sqliteWorkerUrl = new URL(import.meta.url);
