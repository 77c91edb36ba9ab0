// F9: refused clients come back, at once or when they are told to. A queue that says nothing true drowns in them.

import { createRandom } from "../../../src/simulator/random.ts";
import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import { computeCallJain, computeRateUse, isServed, listRefused, listServed } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { seedLimits } from "../policy.ts";
import type { Scenario } from "../run.ts";
import { computeShare } from "../statistics.ts";
import { count, percent, ratio } from "../table.ts";
import { drawPoisson, nameUser } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const policies = [
  chooseFifo({ name: "FIFO" }),
  chooseFifo({ name: "FIFO with estimate", estimates: true }),
  chooseOurs({ name: "glm-proxy" }),
  chooseOurs({ name: "glm-proxy, early refusal", refusesEarly: true }),
];
const durationMs = 600_000;
const retriesMax = 5;
/** Of a client that is told nothing, before its first retry; twice that before the second, and so on. */
const backoffMs = 500;

function createRetryScenario(seed: number, isObedient: boolean): Scenario {
  const random = createRandom(seed).next;
  const create = () => ({ userId: nameUser(1 + Math.floor(random() * 30)) });
  return {
    calls: drawPoisson(3, durationMs, random, create),
    durationMs,
    limits: seedLimits,
    upstream: { ...plainUpstream, limits: { ...noLimits, requestsPerSecond: 2 } },
    react({ plan, outcome, retryAfterMs }, clock) {
      if (outcome !== "refused" || plan.retryCount >= retriesMax || clock.now() > durationMs) return null;
      const toldMs = retryAfterMs ?? backoffMs * 2 ** plan.retryCount * (1 + clock.random() / 4);
      const waitMs = isObedient ? toldMs : 50 + 100 * clock.random();
      return { ...plan, at: clock.now() + waitMs, retryCount: plan.retryCount + 1 };
    },
  };
}

const columns: readonly Column[] = [
  { name: "use of limit", format: percent, measure: computeRateUse },
  { name: "tries", format: count, measure: ({ calls }) => calls.length },
  { name: "refused per served", format: ratio, measure: (run) => listRefused(run).length / listServed(run).length },
  {
    name: "served in the end",
    format: percent,
    measure: (run) => listServed(run).length / run.scenario.calls.length,
  },
  {
    name: "first retry served",
    format: percent,
    measure: ({ calls }) =>
      computeShare(
        calls.filter(({ plan }) => plan.retryCount === 1),
        isServed,
      ),
  },
  { name: "Jain / max-min of tries", format: ratio, measure: computeCallJain },
];

export const retries: Experiment = {
  id: "F9",
  async run(seeds) {
    const rows = [];
    for (const [word, isObedient] of [
      ["at once", false],
      ["when told", true],
    ] as const) {
      const measured = await measurePolicies(policies, seeds, (seed) => createRetryScenario(seed, isObedient), columns);
      rows.push(...measured.map(({ name, cells }) => ({ name: `${name}; retries ${word}`, cells })));
    }
    return [
      {
        id: "F9",
        title: "Everybody who is refused tries again",
        note: "30 equal users, 1.5 times the limit of 2 a second for 600 s, up to five retries each: after about 0.1 s, or when told (a client that is told nothing backs off from 0.5 s, doubling).",
        columns: nameColumns("policy; clients", columns),
        rows,
      },
    ];
  },
};
