// Lives through as many worlds as wanted and tells which of them broke a promise:
//   npm run simulate:seeds -- --seeds 1000 --from 1

import { parseArgs } from "node:util";
import { liveThrough, type WorldReport } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    details: { type: "boolean", default: false },
  },
});
const from = Number(values.from);
const seeds = Number(values.seeds);

function describeWorld({ plan, counts, violationCount, elapsedMs, outcomes }: WorldReport): string {
  const told = {
    ...plan,
    counts: {
      ...counts,
      refusals: [...counts.refusals],
      lateRefusals: [...counts.lateRefusals],
      verdicts: [...counts.verdicts],
      failures: [...counts.failures],
    },
  };
  return JSON.stringify({ ...told, violationCount, elapsedMs, outcomes: [...outcomes] }, null, 1);
}

const failed: number[] = [];
let [calls, sends, virtualMs] = [0, 0, 0];
const startedAt = performance.now();
for (let seed = from; seed < from + seeds; seed++) {
  try {
    const report = liveThrough(seed);
    calls += report.counts.offers;
    sends += report.counts.sends;
    virtualMs += report.elapsedMs;
    if (values.details) console.log(describeWorld(report));
  } catch (error) {
    failed.push(seed);
    console.log(values.details ? error : `${error instanceof Error ? error.message : error}`);
    console.log(`  alone: npm run simulate:seeds -- --seeds 1 --from ${seed} --details`);
  }
  if ((seed - from + 1) % 100 === 0)
    console.log(`${seed - from + 1} of ${seeds} worlds, ${failed.length} broke a promise`);
}
const seconds = (performance.now() - startedAt) / 1_000;
console.log(
  `${seeds} worlds in ${seconds.toFixed(1)} s: ${calls} calls offered, ${sends} sent, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${failed.length} broke a promise`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
