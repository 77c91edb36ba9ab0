// F1, F2 and F5: one upstream with a rate, many users. A real trace in which most ask little and some much, the same
// with one user that floods, and bursts.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, joinRows, measurePolicies, nameColumns } from "../experiment.ts";
import {
  computeBusyShare,
  computeCallJain,
  computeEtaErrorQuantile,
  computeLateShare,
  computeRateUse,
  computeRetryShare,
  isServed,
  listLight,
  listRefused,
  listServed,
  waitQuantile,
} from "../measures.ts";
import { chooseBottleneck } from "../policies/bottleneck.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { choosePQueue } from "../policies/p-queue.ts";
import { chooseUserRpm } from "../policies/user-rpm.ts";
import { type PolicyChoice, seedLimits } from "../policy.ts";
import type { Scenario } from "../run.ts";
import { computeShare } from "../statistics.ts";
import { count, percent, ratio, type Section, seconds } from "../table.ts";
import { assignUsers, cutTrace, drawPoisson, loadTrace, mergeCalls, nameUser, shiftArrivals } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const patient = { queueTimeoutMs: 15_000, queueCapacity: 30 };

const policies: readonly PolicyChoice[] = [
  chooseUserRpm("user RPM, equal share", 1),
  chooseUserRpm("user RPM, twice that", 2),
  choosePQueue("p-queue"),
  choosePQueue("p-queue, strict, guard", { strict: true, isGuarded: true }),
  chooseBottleneck("Bottleneck"),
  chooseBottleneck("Bottleneck, queue 10, guard", { highWater: 10, isGuarded: true }),
  chooseFifo({ name: "FIFO" }),
  chooseFifo({ name: "FIFO with estimate", estimates: true }),
  chooseFifo({ name: "FIFO, 15 s", limits: patient }),
  chooseOurs({ name: "glm-proxy" }),
  chooseOurs({ name: "glm-proxy, early refusal", refusesEarly: true }),
  chooseOurs({ name: "glm-proxy, 15 s", limits: patient }),
];

export const columns: readonly Column[] = [
  { name: "served", format: count, measure: (run) => listServed(run).length },
  { name: "use of limit", format: percent, measure: computeRateUse },
  { name: "busy while waited for", format: percent, measure: computeBusyShare },
  { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
  { name: "Jain / max-min", format: ratio, measure: computeCallJain },
  { name: "light served", format: percent, measure: (run) => computeShare(listLight(run), isServed) },
  { name: "light p50 s", format: seconds, measure: (run) => waitQuantile(listLight(run).filter(isServed), 0.5) },
  { name: "light p99 s", format: seconds, measure: (run) => waitQuantile(listLight(run).filter(isServed), 0.99) },
  { name: "all p99 s", format: seconds, measure: (run) => waitQuantile(listServed(run), 0.99) },
  { name: "refused", format: count, measure: (run) => listRefused(run).length },
  { name: "late refusals", format: percent, measure: computeLateShare },
  { name: "ETA error p50", format: percent, measure: (run) => computeEtaErrorQuantile(run, 0.5) },
  { name: "p90", format: percent, measure: (run) => computeEtaErrorQuantile(run, 0.9) },
];
const retryColumn: Column = { name: "Retry-After kept", format: percent, measure: computeRetryShare };
/** So few of the refused try again that they hardly change the load that they meet. */
const retryingShare = 0.05;

/** Two a second, as judged by the upstream, over an ordinary network. */
function createRateScenario(calls: Scenario["calls"], durationMs: number, startsPerSecond = 2): Scenario {
  return {
    calls,
    durationMs,
    limits: { ...seedLimits, startsPerSecond },
    upstream: { ...plainUpstream, limits: { ...noLimits, requestsPerSecond: startsPerSecond } },
  };
}

const traceMs = 600_000;

export function createVtcScenario(seed: number): Scenario {
  const random = createRandom(seed).next;
  return createRateScenario(shiftArrivals(loadTrace("vtc-real", random).calls, 50, random), traceMs);
}

export function createFloodScenario(seed: number): Scenario {
  const random = createRandom(seed).next;
  const calls = shiftArrivals(loadTrace("vtc-real", random).calls, 50, random);
  const flood = drawPoisson(10, traceMs, random, () => ({ userId: "flood" }));
  return createRateScenario(mergeCalls(calls, flood), traceMs);
}

/** 30 users who together ask for one and a half times the limit, one of them five times as much as each other one. */
function createCrowdScenario(seed: number): Scenario {
  const random = createRandom(seed).next;
  const create = () => ({ userId: nameUser(Math.max(1, Math.floor(random() * 34) - 3)) });
  return createRateScenario(drawPoisson(3, traceMs, random, create), traceMs);
}

const burstMs = 1_200_000;

function createBurstScenario(seed: number): Scenario {
  const random = createRandom(seed).next;
  const { calls } = loadTrace("azure-2023-code", random);
  const withUsers = assignUsers(cutTrace(calls, 0, burstMs), 30, random);
  return createRateScenario(shiftArrivals(withUsers, 50, random), burstMs, 4);
}

/** Some clients that were told when to come back do so, once. */
function addRetries(scenario: Scenario): Scenario {
  return {
    ...scenario,
    react({ plan, outcome, retryAfterMs }, clock) {
      if (outcome !== "refused" || retryAfterMs === null || plan.retryCount > 0) return null;
      if (clock.random() >= retryingShare) return null;
      return { ...plan, at: clock.now() + retryAfterMs, retryCount: 1 };
    },
  };
}

async function measure(
  seeds: readonly number[],
  create: (seed: number) => Scenario,
  head: Pick<Section, "id" | "title" | "note">,
): Promise<Section> {
  const rows = await measurePolicies(policies, seeds, create, columns);
  const retried = await measurePolicies(policies, seeds, (seed) => addRetries(create(seed)), [retryColumn]);
  return { ...head, columns: nameColumns("policy", columns, [retryColumn]), rows: joinRows(rows, retried) };
}

const common =
  "Network delay 0–15 ms each way. Light: users with at most 30 calls. Late refusals: of the refused, those that had waited over 0.5 s. Retry-After kept: of 5 % of the refused who come back once, when told, the share then served.";

export const realTrace: Experiment = {
  id: "F1",
  run: async (seeds) => [
    await measure(seeds, createVtcScenario, {
      id: "F1",
      title: "A real trace at 1.25 times the limit",
      note: `VTC's 27 users, 1,500 calls in 600 s; limit 2 a second; queue 20, timeout 5 s unless named. ${common}`,
    }),
  ],
};

export const flood: Experiment = {
  id: "F2",
  run: async (seeds) => [
    await measure(seeds, createFloodScenario, {
      id: "F2",
      title: "The same trace and one user with 10 calls a second",
      note: `As F1; all that changes is one more user. ${common}`,
    }),
    await measure(seeds, createCrowdScenario, {
      id: "F2b",
      title: "30 users at 1.5 times the limit, one asks five times as much",
      note: "Poisson arrivals for 600 s, limit 2 a second. No user has so few calls as to be light here.",
    }),
  ],
};

export const bursts: Experiment = {
  id: "F5",
  run: async (seeds) => [
    await measure(seeds, createBurstScenario, {
      id: "F5",
      title: "Bursts",
      note: "Azure's code trace, its first 20 minutes, 30 users by Zipf(1.1); limit 4 a second, queue 20, timeout 5 s.",
    }),
  ],
};
