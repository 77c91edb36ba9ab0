// F12: the upstream counts arrivals, we count sends. How much guard the window needs for how uneven a network, and
// what that costs.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Experiment, runSoundly } from "../experiment.ts";
import { computeBusyShare } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { type PolicyChoice, seedLimits } from "../policy.ts";
import type { Scenario } from "../run.ts";
import { findMedian, type Row, type Section } from "../table.ts";
import { drawPoisson, nameUser } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const guardsMs = [0, 20, 50, 100, 200];
const jittersMs = [0, 10, 20, 50, 100, 200];
const durationMs = 300_000;

function createJitterScenario(seed: number, jitterMs: number, sendGuardMs: number): Scenario {
  const random = createRandom(seed).next;
  const create = () => ({ userId: nameUser(1 + Math.floor(random() * 10)), outputTokens: 20 });
  return {
    calls: drawPoisson(2.5, durationMs, random, create),
    durationMs,
    limits: { ...seedLimits, sendGuardMs },
    upstream: { ...plainUpstream, jitterMs, limits: { ...noLimits, requestsPerSecond: 2, rateCode: "1303" } },
  };
}

async function measureGuard(policy: PolicyChoice, sendGuardMs: number, seeds: readonly number[]): Promise<Row> {
  const cells: string[] = [];
  for (const jitterMs of jittersMs) {
    const violations: number[] = [];
    const uses: number[] = [];
    for (const seed of seeds) {
      const run = await runSoundly(createJitterScenario(seed, jitterMs, sendGuardMs), policy, seed);
      violations.push((run.upstream.violationTimes.length * 1_000) / run.upstream.sendCount);
      uses.push(computeBusyShare(run));
    }
    cells.push(`${findMedian(violations).toFixed(1)} / ${(findMedian(uses) * 100).toFixed(1)}%`);
  }
  return { name: `${sendGuardMs} ms`, cells };
}

async function measureGuards(policy: PolicyChoice, id: string, seeds: readonly number[]): Promise<Section> {
  const rows: Row[] = [];
  for (const guardMs of guardsMs) rows.push(await measureGuard(policy, guardMs, seeds));
  return {
    id,
    title: `Network delay from nothing to so many ms: ${policy.name}`,
    note: "Limit 2 a second, 1.25 times that asked. Violations in 1,000 sends / limit in use while somebody waited; medians.",
    columns: ["guard", ...jittersMs.map((jitterMs) => `0–${jitterMs} ms`)],
    rows,
  };
}

export const guard: Experiment = {
  id: "F12",
  run: async (seeds) => [
    await measureGuards(chooseFifo({ name: "FIFO, which learns nothing" }), "F12a", seeds),
    await measureGuards(chooseOurs({ name: "glm-proxy, which learns from 1303" }), "F12b", seeds),
  ],
};
