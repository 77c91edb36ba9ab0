// F3: shares that are not equal. Users with weights, classes, and one user's own sessions, all with more to do than the
// upstream bears, so that what each gets is the scheduler's choice.

import { type Column, type Experiment, measurePolicies, nameColumns } from "../experiment.ts";
import { isServed, waitQuantile } from "../measures.ts";
import { chooseFifo } from "../policies/fifo.ts";
import { chooseOurs } from "../policies/ours.ts";
import { type CallHistory, seedLimits } from "../policy.ts";
import type { RunResult, Scenario } from "../run.ts";
import { percent, seconds } from "../table.ts";
import { type PlannedCall, plainCall } from "../trace.ts";
import { noLimits, plainUpstream } from "../upstream.ts";

const durationMs = 600_000;
/** Estimates need some calls to settle, and the last ones end after the others have stopped. */
const warmUpMs = 60_000;
const policies = [chooseFifo({ name: "FIFO" }), chooseOurs({ name: "glm-proxy" })];
const roomy = { ...seedLimits, queueCapacity: 500, queueTimeoutMs: 600_000 };

/** Everybody keeps `outstanding` calls in the queue or running: as one ends, the next comes. */
function createSaturated(
  clients: readonly Partial<PlannedCall>[],
  outstanding: number,
  concurrencyMax?: number,
): Scenario {
  const calls = clients.flatMap((client, index) =>
    Array.from({ length: outstanding }, (_, ordinal) => ({ ...plainCall, ...client, at: ordinal * 10 + index })),
  );
  const isRate = concurrencyMax === undefined;
  return {
    calls,
    durationMs,
    limits: isRate ? roomy : { ...roomy, startsPerSecond: null, concurrencyMax },
    upstream: {
      ...plainUpstream,
      limits: isRate ? { ...noLimits, requestsPerSecond: 2 } : { ...noLimits, concurrencyMax },
    },
    react: (call, clock) => continueClient(call, clock.now()),
  };
}

function continueClient({ plan }: CallHistory, now: number): PlannedCall | null {
  return now < durationMs ? { ...plan, at: now + 1 } : null;
}

/** The largest relative deviation of anybody's share from what it should be, over calls that ended while all had work. */
function createErrorColumn(
  expected: readonly (readonly [name: string, share: number])[],
  nameOf: (call: CallHistory) => string,
  amountOf: (call: CallHistory) => number,
): Column {
  function measure({ calls }: RunResult): number {
    const counted = calls.filter((call) => isServed(call) && call.startedAt >= warmUpMs && call.endedAt < durationMs);
    const total = counted.reduce((sum, call) => sum + amountOf(call), 0);
    const all = expected.reduce((sum, [, share]) => sum + share, 0);
    const errors = expected.map(([name, share]) => {
      const got = counted.filter((call) => nameOf(call) === name).reduce((sum, call) => sum + amountOf(call), 0);
      return Math.abs(got / total / (share / all) - 1);
    });
    return Math.max(...errors);
  }
  return { name: "share error", format: percent, measure };
}

const weights = [1, 2, 4];
const weighted = weights.map((weight) => ({ userId: `weight-${weight}`, weight }));
/** The heavier a user, the longer its answers: equal calls would not be equal time. */
const unequal = weighted.map((client, index) => ({ ...client, outputTokens: 100 * (index + 1) }));
const classed = (["interactive", "default", "batch"] as const).map((name) => ({ userId: `one-${name}`, class: name }));

const byCalls = createErrorColumn(
  weights.map((weight) => [`weight-${weight}`, weight] as const),
  ({ plan }) => plan.userId,
  () => 1,
);
const bySlotTime = createErrorColumn(
  weights.map((weight) => [`weight-${weight}`, weight] as const),
  ({ plan }) => plan.userId,
  ({ startedAt, endedAt }) => endedAt - startedAt,
);
const byClass = createErrorColumn(
  [
    ["interactive", 16],
    ["default", 4],
    ["batch", 1],
  ],
  ({ plan }) => plan.class,
  () => 1,
);

/** Beside four others, one user's agent keeps 50 calls waiting while the same user chats, a call each ten seconds. */
function createAgentScenario(chatFlow: string): Scenario {
  const agent = { userId: "ada", flowId: "agent" };
  const others = ["bob", "eve", "ida", "kim"].map((userId) => ({ userId }));
  const saturated = createSaturated([agent, ...others], 2);
  const moreOfAgent = Array.from({ length: 48 }, (_, ordinal) => ({ ...plainCall, ...agent, at: 100 + ordinal }));
  const chat = Array.from({ length: durationMs / 10_000 - 10 }, (_, ordinal) => ({
    ...plainCall,
    userId: "ada",
    flowId: chatFlow,
    at: 30_000 + ordinal * 10_000,
    inputTokens: chatTokens,
  }));
  return {
    ...saturated,
    calls: [...saturated.calls, ...moreOfAgent, ...chat],
    react: (call, clock) => (isChat(call) ? null : continueClient(call, clock.now())),
  };
}

/** Marks the chat's calls, whatever flow they are in. */
const chatTokens = 77;
const isChat = ({ plan }: CallHistory) => plan.inputTokens === chatTokens;

const chatColumns: readonly Column[] = [0.5, 0.99].map((share) => ({
  name: `chat p${share * 100} s`,
  format: seconds,
  measure: ({ calls }) =>
    waitQuantile(
      calls.filter((call) => isChat(call) && isServed(call)),
      share,
    ),
}));

export const unequalShares: Experiment = {
  id: "F3",
  async run(seeds) {
    const cases = [
      ["weights 1:2:4, limit 2 a second", createSaturated(weighted, 12), byCalls],
      [
        "weights 1:2:4 of slot time, 3 at once, answers of 100, 200, 300 tokens",
        createSaturated(unequal, 12, 3),
        bySlotTime,
      ],
      ["classes 16:4:1, limit 2 a second", createSaturated(classed, 12), byClass],
    ] as const;
    const rows = [];
    for (const [name, scenario, column] of cases) {
      const measured = await measurePolicies(policies, seeds, () => scenario, [column]);
      rows.push(...measured.map((row) => ({ name: `${name}: ${row.name}`, cells: row.cells })));
    }
    const apart = await measurePolicies(policies, seeds, () => createAgentScenario("chat"), chatColumns);
    const together = await measurePolicies(policies.slice(1), seeds, () => createAgentScenario("agent"), chatColumns);
    const joined = together.map(({ name, cells }) => ({ name: `${name}, chat and agent in one session`, cells }));
    return [
      {
        id: "F3",
        title: "Weights and classes",
        note: "Everybody always has 12 calls waiting. Share error: the largest relative deviation of anyone's share from its due.",
        columns: nameColumns("case: policy", [byCalls]),
        rows,
      },
      {
        id: "F3b",
        title: "An agent's 50 parallel calls beside the same user's chat",
        note: "Limit 2 a second, four other users always have two calls to make; the wait of the chat's calls.",
        columns: nameColumns("policy", chatColumns),
        rows: [...apart, ...joined],
      },
    ];
  },
};
