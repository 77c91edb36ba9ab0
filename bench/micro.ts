// npm run bench:micro: what the single steps of a call cost, each in a process of its own. About half a minute.
//
//   --rounds N    default 3        --only text    cases with that in their names        --json FILE    each round's values

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs, promisify } from "node:util";
import { cases } from "./micro/cases.ts";
import type { MicroResult } from "./micro/worker.ts";
import { describeMachine } from "./scheduling/machine.ts";
import { count, type Format, formatSection, type Row } from "./scheduling/table.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, only: { type: "string" }, json: { type: "string" } },
});
const worker = new URL("micro/worker.ts", import.meta.url).pathname;
const timeoutMs = 30_000;
const roundsMax = 20;
const nanoseconds: Format = { digits: 0 };
const speed: Format = { digits: 0 };

const rounds = Math.min(roundsMax, Math.max(1, Math.trunc(Number(values.rounds)) || 1));
const chosen = cases.filter(({ name }) => name.includes(values.only ?? ""));
const results = new Map<string, MicroResult[]>(chosen.map(({ name }) => [name, []]));
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

const machine = describeMachine();
console.log(`${machine}\n`);
for (let round = 0; round < rounds; round++) {
  for (const { name } of chosen) results.get(name)?.push(await measure(name));
}
const rows = chosen.map(({ name, note, bytes }): Row => {
  const measured = results.get(name) ?? [];
  return {
    name,
    cells: [
      note,
      { values: measured.map(({ ns }) => ns), format: nanoseconds },
      { values: measured.map(({ cpuNs }) => cpuNs), format: nanoseconds },
      { values: measured.map(({ heapBytes }) => heapBytes), format: count },
      // Bytes a nanosecond are gigabytes a second.
      bytes === null ? "" : { values: measured.map(({ ns }) => (bytes / ns) * 1_000), format: speed },
    ],
  };
});
const section = {
  id: "M",
  title: "Single steps",
  note: `Each in a process of its own, once it is compiled: medians of ${rounds} rounds, with their range. ns: of the wall clock. CPU: of all threads. Heap: allocated, mostly soon garbage; the bytes of buffers are not on it.`,
  columns: ["step", "", "ns", "CPU ns", "heap bytes", "MB/s"],
  rows,
};
console.log(formatSection(section));
if (values.json) {
  const byName = Object.fromEntries(results);
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, date: new Date().toISOString(), results: byName }, null, 2)}\n`,
  );
}

async function measure(name: string): Promise<MicroResult> {
  const options = { timeout: timeoutMs, signal: interruption.signal };
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", worker, name], options);
  return JSON.parse(stdout) as MicroResult;
}
