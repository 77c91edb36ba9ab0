// Password hashes on a thread of their own, which is started with the first one. Holds the process open only while a hash
// is computed.

import type { Argon2Parameters } from "node:crypto";
import { Worker } from "node:worker_threads";
import { type HashingThreadData, hashingWorkerUrl } from "./hashing-worker.ts";
import type { Derive } from "./passwords.ts";

export interface HashingThread {
  /** Rejects when the thread dies; the next hash starts another one. */
  readonly derive: Derive;
  /** What is being computed is given up. */
  close(): Promise<void>;
}

export function createHashingThread(url = hashingWorkerUrl): HashingThread {
  let worker: Worker | null = null;
  /** In the order in which they were asked for, which is that of the answers. */
  let pending: PromiseWithResolvers<Buffer>[] = [];

  function start(): Worker {
    const workerData: HashingThreadData = { hashesPasswords: true };
    const started = new Worker(url, { workerData, name: "password hashes", execArgv: [] });
    const end = (error: Error) => {
      if (worker !== started) return;
      worker = null;
      for (const { reject } of pending) reject(error);
      pending = [];
    };
    started.on("message", (digest: Uint8Array) => {
      pending.shift()?.resolve(Buffer.from(digest));
      if (pending.length === 0) started.unref();
    });
    started.on("error", end);
    started.on("exit", () => end(new Error("the thread of password hashes has ended")));
    return started;
  }

  return {
    derive(parameters: Argon2Parameters) {
      worker ??= start();
      worker.ref();
      const asked = Promise.withResolvers<Buffer>();
      pending.push(asked);
      worker.postMessage(parameters);
      return asked.promise;
    },
    async close() {
      await worker?.terminate();
    },
  };
}
