// F13: when the calls of a backlog start, second by second and within it, and how long somebody waits who calls beside
// a flood. The upstream allows 2, 20 or 200 starts a second; the flood keeps the queue full all the time.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import { isServed, waitQuantile } from "../measures.ts";
import { chooseBottleneck } from "../policies/bottleneck.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { seedLimits } from "../policy.ts";
import type { RunResult, Scenario } from "../run.ts";
import { findQuantile } from "../statistics.ts";
import { count, type Format, percent } from "../table.ts";
import { drawPoisson, mergeCalls, nameUser, plainCall } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const milliseconds: Format = { digits: 0 };
const floodUser = "flood";
const lightUserCount = 5;
const outputTokens = 5;
/** Long enough for some hundred starts, or for what a machine can bear. */
const durationsMs = [
  [2, 120_000],
  [20, 60_000],
  [200, 10_000],
] as const;

/** Two windows' calls at once and half as many again as may start; beside them a tenth of that from five users. */
export function createSpacingScenario(seed: number, startsPerSecond: number, durationMs: number): Scenario {
  const random = createRandom(seed).next;
  const backlog = Array.from({ length: 2 * startsPerSecond }, () => ({
    ...plainCall,
    userId: floodUser,
    outputTokens,
  }));
  const flood = drawPoisson(1.5 * startsPerSecond, durationMs, random, () => ({ userId: floodUser, outputTokens }));
  const light = drawPoisson(0.1 * startsPerSecond, durationMs, random, () => ({
    userId: nameUser(1 + Math.floor(random() * lightUserCount)),
    outputTokens,
  }));
  return {
    calls: mergeCalls(backlog, flood, light),
    durationMs,
    limits: { ...seedLimits, startsPerSecond, queueCapacity: 2 * startsPerSecond + 20, queueTimeoutMs: 60_000 },
    upstream: { ...plainUpstream, limits: { ...noLimits, requestsPerSecond: startsPerSecond } },
  };
}

/** From one arrival at the upstream to the next, once the burst at the beginning is a second ago. */
function listGapsMs({ upstream, scenario }: RunResult): number[] {
  const arrivals = upstream.stays.map(({ from }) => from).sort((one, other) => one - other);
  const firstAt = arrivals[0] as number;
  const later = arrivals.filter((at) => at > firstAt + 1_000 && at < firstAt + scenario.durationMs);
  return later.slice(1).map((at, index) => at - (later[index] as number));
}

/** Calls that reached the upstream while calls came, over what it allows in that time. */
function computeStartUse({ upstream, scenario }: RunResult): number {
  const { startsPerSecond } = scenario.limits;
  const firstAt = Math.min(...upstream.stays.map(({ from }) => from));
  const inTime = upstream.stays.filter(({ from }) => from < firstAt + scenario.durationMs).length;
  return inTime / (((startsPerSecond as number) * scenario.durationMs) / 1_000);
}

const listLight = ({ calls }: RunResult) => calls.filter((call) => call.plan.userId !== floodUser && isServed(call));

export const columns: readonly Column[] = [
  { name: "starts", format: count, measure: ({ upstream }) => upstream.stays.length },
  { name: "use of limit", format: percent, measure: computeStartUse },
  { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
  { name: "gap p5 ms", format: milliseconds, measure: (run) => findQuantile(listGapsMs(run), 0.05) },
  { name: "gap p50 ms", format: milliseconds, measure: (run) => findQuantile(listGapsMs(run), 0.5) },
  { name: "gap p95 ms", format: milliseconds, measure: (run) => findQuantile(listGapsMs(run), 0.95) },
  { name: "gap max ms", format: milliseconds, measure: (run) => Math.max(...listGapsMs(run)) },
  { name: "light calls", format: count, measure: (run) => listLight(run).length },
  { name: "light p50 ms", format: milliseconds, measure: (run) => waitQuantile(listLight(run), 0.5) },
  { name: "light p95 ms", format: milliseconds, measure: (run) => waitQuantile(listLight(run), 0.95) },
];

const policies = [
  chooseBottleneck("Bottleneck, guard", { isGuarded: true }),
  chooseFifo({ name: "FIFO" }),
  chooseOurs({ name: "glm-proxy" }),
];

export const spacingRates = durationsMs.map(([startsPerSecond, durationMs]) => ({
  id: `F13 ${startsPerSecond}/s`,
  title: `Starts beside a flood, at ${startsPerSecond} a second`,
  create: (seed: number) => createSpacingScenario(seed, startsPerSecond, durationMs),
}));

export const spacing: Experiment = {
  id: "F13",
  async run(seeds) {
    const sections = [];
    for (const { id, title, create } of spacingRates) {
      sections.push({
        id,
        title,
        note: "Gaps: from one call's arrival at the upstream to the next one's, once the first burst is a second ago. Network delay 0–15 ms each way. Light: five users who together ask for a tenth of the limit.",
        columns: nameColumns("policy", columns),
        rows: await measurePolicies(policies, seeds, create, columns),
      });
    }
    return sections;
  },
};
