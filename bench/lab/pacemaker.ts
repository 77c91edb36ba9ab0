// A thread that says when the next call is due, to some 50 microseconds: timers of an event loop round to milliseconds,
// and are late whenever the loop is busy.

import { parentPort, workerData } from "node:worker_threads";

export interface Pace {
  /** Of process.hrtime.bigint(). */
  readonly startNs: bigint;
  readonly intervalNs: number;
  readonly count: number;
}

const { startNs, intervalNs, count } = workerData as Pace;
const cell = new Int32Array(new SharedArrayBuffer(4));

for (let index = 0; index < count; index++) {
  const dueNs = startNs + BigInt(Math.round(index * intervalNs));
  const waitMs = Number(dueNs - process.hrtime.bigint()) / 1e6;
  if (waitMs > 0) Atomics.wait(cell, 0, 0, waitMs);
  parentPort?.postMessage(index);
}
