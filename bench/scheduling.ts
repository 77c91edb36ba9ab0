// npm run bench:scheduling: compares ways to share one scarce upstream, in virtual time. Runs the experiments, prints
// their tables, and draws the chart.
//
//   --only F1,F2   these experiments alone         --json FILE      the values of each seed
//   --seeds N      runs of each (default 5)        --markdown FILE  the tables
//   --wall         F1, F2, F13 over real sockets   --svg FILE       the chart (default docs/images/scheduling.svg)

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { drawChart } from "./scheduling/chart.ts";
import { experiments } from "./scheduling/experiments.ts";
import { describeMachine } from "./scheduling/machine.ts";
import { formatSection, type Section } from "./scheduling/table.ts";
import { measureOverSockets } from "./scheduling/wall.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seeds: { type: "string", default: "5" },
    json: { type: "string" },
    markdown: { type: "string" },
    svg: { type: "string", default: new URL("../docs/images/scheduling.svg", import.meta.url).pathname },
    wall: { type: "boolean", default: false },
  },
});

const chosen = values.only?.toUpperCase().split(",");
const seeds = Array.from({ length: Math.max(1, Math.trunc(Number(values.seeds)) || 1) }, (_, index) => index + 1);
const machine = describeMachine();
const sections: Section[] = [];
const startedAt = performance.now();

console.log(`${machine}\n`);
if (values.wall) {
  add(await measureOverSockets(chosen));
} else {
  for (const { id, run } of experiments) {
    if (!chosen || chosen.includes(id)) add(await run(seeds));
  }
}
console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);

if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine, seeds, sections }, null, 2)}\n`);
if (values.markdown) writeFileSync(values.markdown, `${[machine, "", ...sections.map(formatSection)].join("\n")}\n`);
const chart = values.wall ? null : drawChart(sections);
if (chart !== null) writeFileSync(values.svg, chart);

function add(more: readonly Section[]): void {
  sections.push(...more);
  for (const section of more) console.log(formatSection(section));
}
