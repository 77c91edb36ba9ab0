// The main thread's side of a SQLite thread: requests by number, answers as promises. Holds the process open only while
// something is asked.

import { Worker } from "node:worker_threads";
import { toStoreError } from "./sqlite-errors.ts";
import type { ThreadAnswer, ThreadOptions, ThreadTask } from "./sqlite-protocol.ts";
import { sqliteWorkerUrl } from "./sqlite-worker.ts";
import { StoreError } from "./store.ts";

export interface SqliteThread {
  /** Rejects with StoreError, or with a plain Error for a statement that makes no sense. */
  ask(task: ThreadTask): Promise<ThreadAnswer>;
  /** After what was asked before. */
  close(): Promise<void>;
}

interface Asked extends PromiseWithResolvers<ThreadAnswer> {
  readonly id: number;
  /** What an error is about. */
  readonly file: string;
}

/** Rejects with StoreError. `url`: what the thread runs. */
export async function openSqliteThread(options: ThreadOptions, url = sqliteWorkerUrl): Promise<SqliteThread> {
  const worker = new Worker(url, {
    workerData: { sqliteThread: options },
    name: `sqlite ${options.role}`,
    // Not this process's own: they may be for a script on standard input.
    execArgv: [],
  });
  worker.unref();
  /** In the order of their numbers, which is that of the answers. */
  const pending: Asked[] = [];
  let lastId = 0;
  /** Null while it serves. */
  let end: StoreError | null = null;

  function expect(id: number, file: string): Promise<ThreadAnswer> {
    const answered = Promise.withResolvers<ThreadAnswer>();
    pending.push({ ...answered, id, file });
    worker.ref();
    return answered.promise;
  }
  function failAll(error: StoreError): void {
    end ??= error;
    for (const { reject } of pending.splice(0)) reject(end);
  }
  worker.on("message", (answer: ThreadAnswer) => {
    const asked = pending[0]?.id === answer.id ? pending.shift() : undefined;
    if (pending.length === 0) worker.unref();
    if (answer.error) asked?.reject(toStoreError(answer.error, asked.file));
    else asked?.resolve(answer);
  });
  worker.on("error", ({ message }: Error) =>
    failAll(new StoreError("broken", `the database's thread died: ${message}`)),
  );
  worker.on("exit", () => failAll(new StoreError("broken", "the database's thread has ended: start glm-proxy again")));

  const thread: SqliteThread = {
    ask(task) {
      if (end) return Promise.reject(end);
      const id = ++lastId;
      const answered = expect(id, task.kind === "backup" ? task.file : options.file);
      worker.postMessage({ id, ...task });
      return answered;
    },
    async close() {
      if (end) return;
      const closed = thread.ask({ kind: "close" });
      end = new StoreError("unavailable", "the database is closed");
      try {
        await closed;
      } finally {
        await worker.terminate();
      }
    },
  };
  try {
    await expect(0, options.file);
    return thread;
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}
