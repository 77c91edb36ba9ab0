// F8: clients that do not stay for the answer. What the upstream does for them is lost to the others.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import { computeBusyShare, listServed } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { seedLimits } from "../policy.ts";
import type { RunResult, Scenario } from "../run.ts";
import { countWhere } from "../statistics.ts";
import { count, percent } from "../table.ts";
import { drawPoisson, nameUser } from "../trace.ts";
import { type Lengths, noLimits, plainUpstream } from "../upstream.ts";

const durationMs = 900_000;
const leavingShare = 0.3;
const stayMsMax = 20_000;

function createLeavingScenario(seed: number, noticesLeaving: boolean): Scenario {
  const random = createRandom(seed).next;
  const create = () => ({
    userId: nameUser(1 + Math.floor(random() * 10)),
    outputTokens: 1 + Math.floor(random() * 400),
    leavesAfterMs: random() < leavingShare ? random() * stayMsMax : null,
  });
  return {
    calls: drawPoisson(0.9, durationMs, random, create),
    durationMs,
    limits: { ...seedLimits, startsPerSecond: null, concurrencyMax: 3, queueTimeoutMs: 30_000 },
    upstream: { ...plainUpstream, limits: { ...noLimits, concurrencyMax: 3 } },
    noticesLeaving,
  };
}

/** Of the time that places were held, the share after the client had gone. */
function computeWaste({ calls, upstream }: RunResult): number {
  const leftAt = new Map<Lengths, number>();
  for (const { plan, outcome, endedAt } of calls) if (outcome === "left") leftAt.set(plan, endedAt);
  let [held, wasted] = [0, 0];
  for (const { from, to, lengths } of upstream.stays) {
    held += to - from;
    wasted += Math.max(0, to - Math.max(from, leftAt.get(lengths) ?? to));
  }
  return wasted / held;
}

const columns: readonly Column[] = [
  { name: "served", format: count, measure: (run) => listServed(run).length },
  { name: "left", format: count, measure: ({ calls }) => countWhere(calls, ({ outcome }) => outcome === "left") },
  { name: "wasted slot time", format: percent, measure: computeWaste },
  { name: "busy while waited for", format: percent, measure: computeBusyShare },
  { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
];

export const leaving: Experiment = {
  id: "F8",
  async run(seeds) {
    const policies = [chooseFifo({ name: "FIFO" }), chooseOurs({ name: "glm-proxy" })];
    const deaf = [chooseFifo({ name: "FIFO that serves them all the same" })];
    return [
      {
        id: "F8",
        title: "Three of ten clients leave",
        note: "Three at once, calls at 1.35 times what they bear; who leaves does so within 20 s, waiting or streaming. The upstream notices after 0.1 s; glm-proxy keeps the place for 0.3 s. Each run ends with nothing held: else it fails.",
        columns: nameColumns("policy", columns),
        rows: [
          ...(await measurePolicies(deaf, seeds, (seed) => createLeavingScenario(seed, false), columns)),
          ...(await measurePolicies(policies, seeds, (seed) => createLeavingScenario(seed, true), columns)),
        ],
      },
    ];
  },
};
