// F7: the upstream is not as configured. It bears less for a while, somebody else uses the same key, it is overloaded,
// a quota is used up.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import { listRefused, listServed } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { choosePQueue } from "../policies/p-queue.ts";
import { seedLimits } from "../policy.ts";
import type { RunResult, Scenario } from "../run.ts";
import { countWhere } from "../statistics.ts";
import { count, type Section, seconds } from "../table.ts";
import { drawPoisson, nameUser } from "../trace.ts";
import { noLimits, plainUpstream, type Upstream } from "../upstream.ts";
import type { VirtualClock } from "../virtual-clock.ts";

const policies = [choosePQueue("p-queue"), chooseFifo({ name: "FIFO" }), chooseOurs({ name: "glm-proxy" })];
/** From when to when the upstream is not as it was. */
const troubleAt = 300_000;
const healedAt = 600_000;
const durationMs = 1_200_000;
/** Without a refusal for so long, the policy has come to terms with it. */
const quietMs = 20_000;

interface Trouble {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly callsPerSecond: number;
  readonly limits: Partial<Scenario["limits"]>;
  readonly script: (upstream: Upstream, clock: VirtualClock) => void;
}

const threeAtOnce = { startsPerSecond: null, concurrencyMax: 3, queueTimeoutMs: 30_000 };

const troubles: readonly Trouble[] = [
  {
    id: "F7a",
    title: "Three at once become one, and three again",
    note: "Calls of about 2.5 s at 1.5 times what three places bear.",
    callsPerSecond: 1.8,
    limits: threeAtOnce,
    script(upstream, clock) {
      clock.at(troubleAt, () => upstream.setLimits({ concurrencyMax: 1 }));
      clock.at(healedAt, () => upstream.setLimits({ concurrencyMax: 3 }));
    },
  },
  {
    id: "F7b",
    title: "Somebody else uses the same key",
    note: "Limit 2 a second for all; the other one calls at random, once in two seconds on average. Calls come at 1.25 times the limit.",
    callsPerSecond: 2.5,
    limits: {},
    script(upstream, clock) {
      for (const { at } of drawPoisson(0.5, healedAt - troubleAt, clock.random, () => ({}))) {
        clock.at(troubleAt + at, () => upstream.visit({ inputTokens: 100, outputTokens: 100 }));
      }
    },
  },
  {
    id: "F7c",
    title: "The upstream is overloaded for a minute (1305)",
    note: "Limit 2 a second; calls come at three quarters of it. Healed after 60 s.",
    callsPerSecond: 1.5,
    limits: {},
    script(upstream, clock) {
      upstream.fault = () =>
        isWithin(clock.now(), troubleAt, troubleAt + 60_000)
          ? { kind: "overloaded", code: "1305", waitMs: null }
          : null;
    },
  },
  {
    id: "F7d",
    title: "A quota is used up and reset after five minutes (1308)",
    note: "Limit 2 a second; calls come at three quarters of it. The refusal names the time of the reset.",
    callsPerSecond: 1.5,
    limits: {},
    script(upstream, clock) {
      upstream.fault = () =>
        isWithin(clock.now(), troubleAt, healedAt)
          ? { kind: "quota", code: "1308", waitMs: healedAt - clock.now() }
          : null;
    },
  },
];

function isWithin(time: number, from: number, to: number): boolean {
  return time >= from && time < to;
}

/** From the trouble's beginning to the first stretch without refusals. */
function findQuietAfterMs({ upstream }: RunResult): number {
  let quietFrom = troubleAt;
  for (const { at } of upstream.refusals) {
    if (at < quietFrom) continue;
    if (at - quietFrom > quietMs) break;
    quietFrom = at;
  }
  return quietFrom - troubleAt;
}

/** From the trouble's end until as many calls are in flight as then may be, or one is served where there is no bound. */
function findBackAfterMs({ upstream, scenario }: RunResult, healed: number): number {
  const max = scenario.limits.concurrencyMax ?? 1;
  const later = upstream.stays.filter(({ from }) => from >= healed);
  const full = later.find(
    ({ from }) => countWhere(upstream.stays, (stay) => stay.from <= from && stay.to > from) >= max,
  );
  return full ? full.from - healed : Number.NaN;
}

function createColumns(healed: number): readonly Column[] {
  return [
    { name: "served", format: count, measure: (run) => listServed(run).length },
    { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
    { name: "refused by upstream", format: count, measure: ({ upstream }) => upstream.refusals.length },
    {
      name: "… that clients saw",
      format: count,
      measure: (run) => countWhere(listRefused(run), ({ reason }) => reason?.startsWith("upstream") === true),
    },
    {
      name: "refused by the queue",
      format: count,
      measure: (run) => countWhere(listRefused(run), ({ reason }) => reason?.startsWith("upstream") === false),
    },
    { name: "quiet after s", format: seconds, measure: findQuietAfterMs },
    { name: "full again after s", format: seconds, measure: (run) => findBackAfterMs(run, healed) },
  ];
}

function createTroubleScenario({ callsPerSecond, limits, script }: Trouble, seed: number): Scenario {
  const random = createRandom(seed).next;
  const create = () => ({ userId: nameUser(1 + Math.floor(random() * 10)), outputTokens: 100 });
  const all = { ...seedLimits, ...limits };
  const { startsPerSecond: requestsPerSecond, concurrencyMax } = all;
  return {
    calls: drawPoisson(callsPerSecond, durationMs, random, create),
    durationMs,
    limits: all,
    upstream: { ...plainUpstream, limits: { ...noLimits, requestsPerSecond, concurrencyMax } },
    script,
  };
}

export const feedback: Experiment = {
  id: "F7",
  async run(seeds) {
    const sections: Section[] = [];
    for (const trouble of troubles) {
      const columns = createColumns(trouble.id === "F7c" ? troubleAt + 60_000 : healedAt);
      sections.push({
        id: trouble.id,
        title: trouble.title,
        note: `${trouble.note} Trouble from 300 s to 600 s of 1,200 s, unless said otherwise.`,
        columns: nameColumns("policy", columns),
        rows: await measurePolicies(policies, seeds, (seed) => createTroubleScenario(trouble, seed), columns),
      });
    }
    return sections;
  },
};
