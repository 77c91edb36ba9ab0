// Measures one case, in a process of its own (micro.ts starts it with --expose-gc and the case's name), so that nothing
// else is on the heap and in the compiler's mind. Prints its result as one line of JSON.

import { getHeapStatistics } from "node:v8";
import { cases } from "./cases.ts";

export interface MicroResult {
  /** Of the wall clock: the median of the batches. */
  readonly ns: number;
  /** Of all of the process's threads. */
  readonly cpuNs: number;
  /** Allocated on the heap, whether or not it is garbage by now; buffers' bytes are not on it. */
  readonly heapBytes: number;
}

const warmMs = 700;
const batchMs = 40;
const batches = 25;

const name = process.argv[2];
const chosen = cases.find((candidate) => candidate.name === name);
if (!chosen) throw new Error(`no such case: ${name}`);
const { gc } = globalThis;
if (!gc) throw new Error("start it with --expose-gc");

const operation = await chosen.prepare();
try {
  const count = await warmUp();
  gc();
  const samples: number[] = [];
  const cpuBefore = process.cpuUsage();
  const heapBefore = readAllocatedBytes();
  for (let batch = 0; batch < batches; batch++) samples.push(await time(count));
  const { user, system } = process.cpuUsage(cpuBefore);
  const done = count * batches;
  const result: MicroResult = {
    ns: (samples.sort((one, other) => one - other)[batches >> 1] as number) / count,
    cpuNs: ((user + system) * 1_000) / done,
    heapBytes: (readAllocatedBytes() - heapBefore) / done,
  };
  console.log(JSON.stringify(result));
} finally {
  await operation.close?.();
}

/** Nobody measures a program that is still being compiled. Returns how many make a batch. */
async function warmUp(): Promise<number> {
  let count = 1;
  const until = performance.now() + warmMs;
  while (performance.now() < until) {
    const ns = await time(count);
    count = Math.max(1, Math.min(count * 4, Math.round((batchMs * 1e6 * count) / ns)));
  }
  return count;
}

async function time(count: number): Promise<number> {
  const startedAt = process.hrtime.bigint();
  await operation.run(count);
  return Number(process.hrtime.bigint() - startedAt);
}

function readAllocatedBytes(): number {
  return getHeapStatistics().total_allocated_bytes;
}
