// F4: an upstream that bears so many calls at once, whatever their length. Fair is then not who calls how often but
// whose answers hold the places for how long.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import {
  computeBusyShare,
  computeJainOf,
  computeLateShare,
  isServed,
  listLight,
  listServed,
  waitQuantile,
} from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { choosePQueue } from "../policies/p-queue.ts";
import { seedLimits } from "../policy.ts";
import type { Scenario } from "../run.ts";
import { computeMean, computeShare } from "../statistics.ts";
import { count, percent, ratio, type Section, seconds } from "../table.ts";
import { assignUsers, cutTrace, loadTrace, type PlannedCall, shiftArrivals } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const policies = [
  choosePQueue("p-queue"),
  chooseFifo({ name: "FIFO" }),
  chooseOurs({ name: "glm-proxy" }),
  chooseOurs({ name: "glm-proxy, early refusal", refusesEarly: true }),
  chooseOurs({ name: "glm-proxy, charged by calls", price: () => 1 }),
  chooseOurs({ name: "glm-proxy, charged by tokens", price: (_, tokens) => tokens }),
];
const overload = 1.3;
const callCount = 1_000;

/** How long a call holds a place, on average over what chance adds. */
function expectSlotMs({ outputTokens }: Pick<PlannedCall, "outputTokens">): number {
  const { firstTokenMs, firstTokenSigma, tokenMs } = plainUpstream;
  return firstTokenMs * Math.exp(firstTokenSigma ** 2 / 2) + outputTokens * tokenMs;
}

/** The trace's first calls, stretched so that they ask for 1.3 times what `concurrencyMax` places can give. */
function createSlotScenario(concurrencyMax: number, seed: number): Scenario {
  const random = createRandom(seed).next;
  const { calls } = loadTrace("azure-2023-conv", random);
  const kept = calls.slice(0, callCount);
  const lastAt = kept.at(-1)?.at ?? 0;
  const durationMs = (callCount * computeMean(kept.map(expectSlotMs))) / concurrencyMax / overload;
  const stretched = cutTrace(kept, 0, lastAt + 1, durationMs / lastAt);
  return {
    calls: shiftArrivals(assignUsers(stretched, 30, random), 50, random),
    durationMs,
    limits: { ...seedLimits, startsPerSecond: null, concurrencyMax, queueTimeoutMs: 30_000 },
    upstream: { ...plainUpstream, limits: { ...noLimits, concurrencyMax } },
  };
}

const columns: readonly Column[] = [
  { name: "served", format: count, measure: (run) => listServed(run).length },
  { name: "busy while waited for", format: percent, measure: computeBusyShare },
  { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
  {
    name: "Jain / max-min of slot time",
    format: ratio,
    measure: (run) =>
      computeJainOf(run, run.scenario.durationMs * (run.scenario.limits.concurrencyMax as number), ({ plan }) =>
        expectSlotMs(plan),
      ),
  },
  {
    name: "of calls",
    format: ratio,
    measure: (run) => computeJainOf(run, listServed(run).length, () => 1),
  },
  { name: "light served", format: percent, measure: (run) => computeShare(listLight(run), isServed) },
  { name: "light p50 s", format: seconds, measure: (run) => waitQuantile(listLight(run).filter(isServed), 0.5) },
  { name: "light p99 s", format: seconds, measure: (run) => waitQuantile(listLight(run).filter(isServed), 0.99) },
  { name: "late refusals", format: percent, measure: computeLateShare },
];

export const slots: Experiment = {
  id: "F4",
  async run(seeds) {
    const sections: Section[] = [];
    for (const concurrencyMax of [1, 3, 8]) {
      sections.push({
        id: `F4.${concurrencyMax}`,
        title: `${concurrencyMax} at once`,
        note: `Azure's conversations, ${callCount} calls at 1.3 times what the places bear, 30 users by Zipf(1.1); queue 20, timeout 30 s. Jain's index once over the time in flight, once over the number of calls.`,
        columns: nameColumns("policy", columns),
        rows: await measurePolicies(policies, seeds, (seed) => createSlotScenario(concurrencyMax, seed), columns),
      });
    }
    return sections;
  },
};
