// The thread that computes password hashes, one after the other: the memory of one hash (19 MiB as a rule) serves the
// next. In Node's pool each of four threads would keep its own. In a bundle, this file is a part of the whole: it serves
// only where it was started as such a thread.

import { type Argon2Parameters, argon2Sync } from "node:crypto";
import { isMainThread, parentPort, workerData } from "node:worker_threads";

/** What a thread is told by its `workerData`. */
export interface HashingThreadData {
  readonly hashesPasswords: true;
}

const port = parentPort;
if (!isMainThread && port && (workerData as Partial<HashingThreadData> | null)?.hashesPasswords) {
  port.on("message", (parameters: Argon2Parameters) => port.postMessage(argon2Sync("argon2id", parameters)));
}

/** What a Worker is started with: this very file, or the bundle that it is a part of. */
export const hashingWorkerUrl = new URL(import.meta.url);
