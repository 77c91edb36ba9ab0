// F10: what a decision of the scheduler costs, by how many wait. On the wall clock: the only experiment whose numbers
// depend on the machine.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Experiment } from "../experiment.ts";
import type { MicroResult } from "../micro-worker.ts";
import { count, type Format, type Section } from "../table.ts";

const worker = new URL("../micro-worker.ts", import.meta.url).pathname;
const timeoutMs = 120_000;
const runsMax = 2;
const microseconds: Format = { digits: 1, factor: 1 / 1_000 };

async function measureOnce(): Promise<MicroResult> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", worker], { timeout: timeoutMs });
  return JSON.parse(stdout) as MicroResult;
}

export const micro: Experiment = {
  id: "F10",
  async run(seeds) {
    const results: MicroResult[] = [];
    for (const _ of seeds.slice(0, runsMax)) results.push(await measureOnce());
    const [first] = results;
    if (!first) return [];
    const levels = first.levels.map(({ wanted, users }, index) => {
      const runs = results.flatMap((result) => result.levels[index] ?? []);
      return {
        name: `${wanted.toLocaleString("en")} of ${users.toLocaleString("en")}`,
        cells: [
          { values: runs.map(({ waiting }) => waiting), format: count },
          { values: runs.map(({ offerNs }) => offerNs), format: microseconds },
          { values: runs.map(({ cancelNs }) => cancelNs), format: microseconds },
          { values: runs.map(({ decisionNs }) => decisionNs), format: microseconds },
          { values: runs.map(({ decisionP99Ns }) => decisionP99Ns), format: microseconds },
          // Of a hundred, what else is on the heap would drown it.
          {
            values: runs.flatMap(({ waiting, bytesPerWaiter }) => (waiting >= 1_000 ? bytesPerWaiter : [])),
            format: count,
          },
        ],
      };
    });
    const queued: Section = {
      id: "F10",
      title: "What a decision costs",
      note: "Microseconds, each with the tick that follows it. Decision: the tick after a running call's end chooses the next one and takes its gates. Reached: how many waited after six seconds of offers. Bytes per waiter: growth of the heap, the description of the call included.",
      columns: [
        "waiting calls of users",
        "reached",
        "offer",
        "cancel",
        "decision p50",
        "decision p99",
        "bytes per waiter",
      ],
      rows: levels,
    };
    const uncontended: Section = {
      id: "F10b",
      title: "Nobody waits",
      note: "Microseconds from the offer to the grant.",
      columns: ["", "p50", "p99"],
      rows: [
        {
          name: "offer, granted at once",
          cells: [
            { values: results.map(({ uncontendedP50Ns }) => uncontendedP50Ns), format: microseconds },
            { values: results.map(({ uncontendedP99Ns }) => uncontendedP99Ns), format: microseconds },
          ],
        },
      ],
    };
    return [queued, uncontended];
  },
};
