// The main thread's side of a SQLite thread: requests by number, answers as promises. Holds the process open only while
// something is asked.

import { Worker } from "node:worker_threads";
import type { ThreadAnswer, ThreadError, ThreadOptions, ThreadTask } from "./sqlite-protocol.ts";
import { sqliteWorkerUrl } from "./sqlite-worker.ts";
import { StoreError, type StoreErrorKind } from "./store.ts";

export interface SqliteThread {
  /** Rejects with StoreError, or with a plain Error for a statement that makes no sense. */
  ask(task: ThreadTask): Promise<ThreadAnswer>;
  close(): Promise<void>;
}

/** Rejects with StoreError. */
export async function openSqliteThread(options: ThreadOptions): Promise<SqliteThread> {
  const worker = new Worker(sqliteWorkerUrl, {
    workerData: { sqliteThread: options },
    name: `sqlite ${options.role}`,
    // What this process was started with may make no sense for a thread.
    execArgv: [],
  });
  worker.unref();
  const pending = new Map<number, PromiseWithResolvers<ThreadAnswer>>();
  let lastId = 0;
  let isClosed = false;

  function expect(id: number): Promise<ThreadAnswer> {
    const answered = Promise.withResolvers<ThreadAnswer>();
    pending.set(id, answered);
    worker.ref();
    return answered.promise;
  }
  function failAll(error: Error): void {
    isClosed = true;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  }
  worker.on("message", (answer: ThreadAnswer) => {
    const asked = pending.get(answer.id);
    pending.delete(answer.id);
    if (pending.size === 0) worker.unref();
    if (answer.error) asked?.reject(toStoreError(answer.error, options.file));
    else asked?.resolve(answer);
  });
  worker.on("error", (error: Error) =>
    failAll(new StoreError("broken", `the database's thread died: ${error.message}`)),
  );
  worker.on("exit", () => failAll(new StoreError("broken", "the database's thread has ended")));

  const thread: SqliteThread = {
    ask(task) {
      if (isClosed) return Promise.reject(new StoreError("unavailable", "the database is closed"));
      const id = ++lastId;
      const answered = expect(id);
      worker.postMessage({ id, ...task });
      return answered;
    },
    async close() {
      if (isClosed) return;
      await thread.ask({ kind: "close" });
      isClosed = true;
      await worker.terminate();
    },
  };
  try {
    await expect(0);
    return thread;
  } catch (error) {
    isClosed = true;
    await worker.terminate();
    throw error;
  }
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const kinds: Readonly<Record<number, StoreErrorKind>> = {
  3: "unavailable", // PERM
  5: "locked", // BUSY
  6: "locked", // LOCKED
  8: "unavailable", // READONLY
  10: "unavailable", // IOERR
  11: "broken", // CORRUPT
  13: "full", // FULL
  14: "unavailable", // CANTOPEN
  26: "broken", // NOTADB
};

function toStoreError({ message, errcode, isOfFile }: ThreadError, file: string): Error {
  const kind = isOfFile ? "unavailable" : kinds[errcode & 0xff];
  if (kind === undefined) return new Error(message);
  switch (kind) {
    case "locked":
      return new StoreError(kind, `${file} is in use by another process: stop the other glm-proxy first`);
    case "full":
      return new StoreError(kind, `no space left for ${file}`);
    case "broken":
      return new StoreError(kind, `${file} is damaged or no database (${message}): restore it from a backup`);
    default:
      return new StoreError(kind, `cannot use ${file}: ${message}`);
  }
}
