// A thread that owns one SQLite connection: the writer, or a reader beside it. Runs what it is sent, one after the
// other, and answers. The other side is sqlite-thread.ts. In a bundle, this file is a part of the whole: it serves only
// where it was started as such a thread.

import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync, type SQLInputValue } from "node:sqlite";
import { isMainThread, type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { ThreadAnswer, ThreadError, ThreadOptions, ThreadRequest } from "./sqlite-protocol.ts";

const ioErrorCode = 10;
const statementsMax = 200;

class Connection {
  readonly #options: ThreadOptions;
  #database: DatabaseSync;
  /** Held as long as the process lives: a second one finds it taken. */
  #lock: DatabaseSync | null = null;
  #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

  constructor(options: ThreadOptions) {
    this.#options = options;
    if (options.role === "writer" && options.file !== ":memory:") this.#takeLock();
    this.#database = this.#open();
  }

  #takeLock(): void {
    const { file } = this.#options;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const lock = new DatabaseSync(`${file}.lock`);
    chmodSync(`${file}.lock`, 0o600);
    lock.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    this.#lock = lock;
  }

  #open(): DatabaseSync {
    const { file, role } = this.#options;
    const isReader = role === "reader";
    const database = new DatabaseSync(file, { readOnly: isReader, enableForeignKeyConstraints: true, timeout: 5_000 });
    if (!isReader) {
      if (file !== ":memory:") chmodSync(file, 0o600);
      // synchronous=FULL: a commit that was answered survives a power cut.
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000");
    }
    return database;
  }

  run(sql: string, parameters: readonly unknown[]): { rows: unknown[]; changes: number; insertId: number } {
    const statement = this.#prepare(sql);
    const values = parameters as SQLInputValue[];
    if (statement.columns().length > 0) return { rows: statement.all(...values), changes: 0, insertId: 0 };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], changes: Number(changes), insertId: Number(lastInsertRowid) };
  }

  /** All or none. */
  runBatch(statements: readonly { readonly sql: string; readonly parameters: readonly unknown[] }[]): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const { sql, parameters } of statements) this.#prepare(sql).run(...(parameters as SQLInputValue[]));
      this.#database.exec("COMMIT");
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Into a file that is not there yet: taken before anything is copied, and with the right mode from its first byte. */
  async backup(file: string): Promise<void> {
    writeFileSync(file, "", { flag: "wx", mode: 0o600 });
    try {
      await backup(this.#database, file);
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  }

  /** After a failed write to the disk nothing that SQLite holds of the file can be trusted (fsync is not repeatable). */
  reopen(): void {
    try {
      this.#database.close();
    } catch {
      // It is given up anyway.
    }
    this.#statements.clear();
    this.#database = this.#open();
  }

  close(): void {
    this.#database.close();
    this.#lock?.close();
  }

  #prepare(sql: string) {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= statementsMax) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}

async function answer(connection: Connection, request: ThreadRequest): Promise<ThreadAnswer> {
  const { id } = request;
  try {
    switch (request.kind) {
      case "run":
        return { id, ...connection.run(request.sql, request.parameters) };
      case "batch":
        connection.runBatch(request.statements);
        return { id };
      case "backup":
        await connection.backup(request.file);
        return { id };
      case "close":
        connection.close();
        return { id };
    }
  } catch (error) {
    const problem = toThreadError(error);
    if ((problem.errcode & 0xff) === ioErrorCode) reopenQuietly(connection);
    return { id, error: problem };
  }
}

function toThreadError(error: unknown): ThreadError {
  const { message, errcode = 0, syscall } = error as Error & { errcode?: number; syscall?: string };
  return { message, errcode, isOfFile: syscall !== undefined };
}

function reopenQuietly(connection: Connection): void {
  try {
    connection.reopen();
  } catch {
    // The next request fails in its own words.
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
  port.on("message", async (request: ThreadRequest) => {
    port.postMessage(await answer(connection, request));
    if (request.kind === "close") port.close();
  });
}

const options = workerData as { sqliteThread?: ThreadOptions } | null;
if (!isMainThread && parentPort && options?.sqliteThread) serve(parentPort, options.sqliteThread);

/** What a Worker is started with: this very file, or the bundle that it is a part of. */
export const sqliteWorkerUrl = new URL(import.meta.url);
