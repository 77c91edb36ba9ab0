// F6: how long calls wait that come at random, beside the least that is possible and beside theory.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Experiment, runSoundly } from "../experiment.ts";
import { listServed, waitOf } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { seedLimits } from "../policy.ts";
import type { Scenario } from "../run.ts";
import { computeMean, findQuantile } from "../statistics.ts";
import { type Cell, type Row, ratio, seconds } from "../table.ts";
import { drawPoisson, nameUser } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const loads = [0.5, 0.8, 0.9, 0.95];
const startsPerSecond = 2;
const callCount = 6_000;
const policies = [chooseFifo({ name: "FIFO" }), chooseOurs({ name: "glm-proxy" })];

function createPoissonScenario(load: number, seed: number, sendGuardMs: number): Scenario {
  const random = createRandom(seed).next;
  const durationMs = (callCount / (load * startsPerSecond)) * 1_000;
  const create = () => ({ userId: nameUser(1 + Math.floor(random() * 10)), outputTokens: 1 });
  return {
    calls: drawPoisson(load * startsPerSecond, durationMs, random, create),
    durationMs,
    limits: { ...seedLimits, sendGuardMs, queueCapacity: 1_000_000, queueTimeoutMs: 100_000_000 },
    upstream: { ...plainUpstream, jitterMs: 0, limits: { ...noLimits, requestsPerSecond: startsPerSecond } },
  };
}

/** The least waits that a limit of N in any window permits, serving in order of arrival. */
function findLeastWaits(arrivals: readonly number[]): number[] {
  const starts: number[] = [];
  return arrivals.map((at, index) => {
    const start = Math.max(
      at,
      starts[index - 1] ?? 0,
      (starts[index - startsPerSecond] ?? Number.NEGATIVE_INFINITY) + 1_000,
    );
    starts.push(start);
    return start - at;
  });
}

/** M/D/1: work that is served at an even pace, of which a burst of two may start ahead. */
function findPacedWaits(arrivals: readonly number[], burst: number): number[] {
  const intervalMs = 1_000 / startsPerSecond;
  let workMs = 0;
  let lastAt = 0;
  return arrivals.map((at) => {
    workMs = Math.max(0, workMs - (at - lastAt));
    lastAt = at;
    const waitMs = Math.max(0, workMs - (burst - 1) * intervalMs);
    workMs += intervalMs;
    return waitMs;
  });
}

async function measureLoad(load: number, seeds: readonly number[]): Promise<Row[]> {
  const arrivals = seeds.map((seed) => createPoissonScenario(load, seed, 0).calls.map(({ at }) => at));
  const least = arrivals.map(findLeastWaits);
  const paced = arrivals.map((times) => findPacedWaits(times, startsPerSecond));
  const theoryMs = (load / (2 * (1 - load))) * (1_000 / startsPerSecond);
  const rows: Row[] = [
    { name: `load ${load}: M/D/1, formula`, cells: [{ values: [theoryMs], format: seconds }, "", "", ""] },
    { name: `load ${load}: M/D/1, burst of two`, cells: toCells(paced, least) },
    { name: `load ${load}: least possible`, cells: toCells(least, least) },
  ];
  for (const policy of policies) {
    for (const sendGuardMs of [0, 20]) {
      const waits: number[][] = [];
      for (const seed of seeds) {
        const run = await runSoundly(createPoissonScenario(load, seed, sendGuardMs), policy, seed);
        waits.push(listServed(run).map(waitOf));
      }
      rows.push({ name: `load ${load}: ${policy.name}, guard ${sendGuardMs} ms`, cells: toCells(waits, least) });
    }
  }
  return rows;
}

function toCells(waits: readonly (readonly number[])[], least: readonly (readonly number[])[]): Cell[] {
  const means = waits.map(computeMean);
  const tails = waits.map((values) => findQuantile(values, 0.99));
  return [
    { values: means, format: seconds },
    { values: tails, format: seconds },
    { values: means.map((value, index) => value / computeMean(least[index] ?? [])), format: ratio },
    { values: tails.map((value, index) => value / findQuantile(least[index] ?? [], 0.99)), format: ratio },
  ];
}

export const waiting: Experiment = {
  id: "F6",
  async run(seeds) {
    const rows: Row[] = [];
    for (const load of loads) rows.push(...(await measureLoad(load, seeds)));
    return [
      {
        id: "F6",
        title: "Poisson arrivals: waits beside the least possible",
        note: `${callCount} calls of ten users, limit 2 a second, nothing refused, no network delay. Least possible: in order of arrival, each as soon as two in any second permit, knowing all; no order has a lower mean. The formula is for an even pace without bursts.`,
        columns: ["load: policy", "mean s", "p99 s", "mean / least", "p99 / least"],
        rows,
      },
    ];
  },
};
