// F1, F2 and F13 on the wall clock: the same calls, of F1 and F2 the first minute, over real sockets, to the gateway as
// it is shipped and from it to the simulator, which judges. The same in virtual time stands beside it: they should agree.
//
//   this process: clients ── sockets ──▶ glm-proxy serve ── sockets ──▶ glm-proxy simulate
//
// Calls leave at their planned times, whatever became of the earlier ones, and waits count from the planned time.

import { Agent, request as openRequest } from "node:http";
import { type Deployment, startDeployment } from "./deployment.ts";
import type { Column } from "./experiment.ts";
import { runSoundly } from "./experiment.ts";
import { createFloodScenario, createVtcScenario } from "./experiments/sharing.ts";
import { columns as spacingColumns, spacingRates } from "./experiments/spacing.ts";
import {
  computeCallJain,
  computeLateShare,
  computeRateUse,
  isServed,
  listLight,
  listRefused,
  listServed,
  waitQuantile,
} from "./measures.ts";
import { chooseOurs } from "./policies/ours.ts";
import type { CallHistory } from "./policy.ts";
import type { RunResult, Scenario } from "./run.ts";
import { computeShare, countWhere } from "./statistics.ts";
import { count, percent, ratio, type Section, seconds } from "./table.ts";
import { cutTrace, type PlannedCall, plainCall } from "./trace.ts";
import { plainUpstream } from "./upstream.ts";

const minuteMs = 60_000;
/** As many in a minute as 30 in the whole ten. */
const lightRequestsMax = 3;
/** Answers are kept short, so that the simulator is not the bottleneck: what is scarce is the starts. */
const framesMax = 40;
const frameMs = 20;
/** The simulator's own time to the first byte. */
const firstByteMs = 30;
const callTimeoutMs = 30_000;

const columns: readonly Column[] = [
  { name: "calls", format: count, measure: ({ calls }) => calls.length },
  { name: "served", format: count, measure: (run) => listServed(run).length },
  { name: "use of limit", format: percent, measure: computeRateUse },
  { name: "violations", format: count, measure: ({ upstream }) => upstream.violationTimes.length },
  { name: "Jain / max-min", format: ratio, measure: computeCallJain },
  { name: "light served", format: percent, measure: (run) => computeShare(listLight(run, lightRequestsMax), isServed) },
  { name: "light p50 s", format: seconds, measure: (run) => waitQuantile(listLightServed(run), 0.5) },
  { name: "light p99 s", format: seconds, measure: (run) => waitQuantile(listLightServed(run), 0.99) },
  { name: "all p99 s", format: seconds, measure: (run) => waitQuantile(listServed(run), 0.99) },
  { name: "refused", format: count, measure: (run) => listRefused(run).length },
  { name: "late refusals", format: percent, measure: computeLateShare },
  { name: "broken", format: count, measure: ({ calls }) => countWhere(calls, ({ outcome }) => outcome === "open") },
];

const socketNote =
  "One run. Over sockets, a wait is the time to the answer's head less the simulator's 30 ms; violations are what the simulator judged.";
const minuteNote =
  "Its first minute. Limit 2 a second, queue 20, timeout 5 s. Light: users with at most three calls in the minute.";
const traces = [
  { id: "F1", title: "A real trace", create: createVtcScenario },
  { id: "F2", title: "The same and one user with 10 calls a second", create: createFloodScenario },
].map((trace) => ({ ...trace, note: minuteNote, columns, create: (seed: number) => cutScenario(trace.create(seed)) }));
const rates = spacingRates.map((rate) => ({ ...rate, note: "As F13 in virtual time.", columns: spacingColumns }));

const listLightServed = (run: RunResult) => listLight(run, lightRequestsMax).filter(isServed);

export async function measureOverSockets(chosen: readonly string[] | undefined): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const { id, title, note, columns: measured, create } of [...traces, ...rates]) {
    if (chosen && !chosen.includes(id.split(" ")[0] as string)) continue;
    const scenario = toCalmNetwork(create(1));
    const virtual = await runSoundly(scenario, chooseOurs({ name: "glm-proxy" }), 1);
    const real = await runOverSockets(scenario);
    sections.push({
      id: `${id} over sockets`,
      title,
      note: `${note} ${socketNote}`,
      columns: ["", ...measured.map(({ name }) => name)],
      rows: [
        { name: "over sockets", cells: toCells(real, measured) },
        { name: "in virtual time", cells: toCells(virtual, measured) },
      ],
    });
  }
  return sections;
}

function toCells(run: RunResult, measured: readonly Column[]): Section["rows"][number]["cells"] {
  return measured.map(({ format, measure }) => ({ values: [measure(run)], format }));
}

function cutScenario(scenario: Scenario): Scenario {
  const calls = cutTrace(scenario.calls, 0, minuteMs).map((call) => ({
    ...call,
    outputTokens: Math.min(framesMax, call.outputTokens),
  }));
  return { ...scenario, calls, durationMs: minuteMs };
}

function toCalmNetwork(scenario: Scenario): Scenario {
  return { ...scenario, upstream: { ...plainUpstream, ...scenario.upstream, jitterMs: 1 } };
}

async function runOverSockets(scenario: Scenario): Promise<RunResult> {
  const userIds = [...new Set(scenario.calls.map(({ userId }) => userId))];
  await using deployment = await startDeployment(userIds, scenario.limits);
  const agent = new Agent({ keepAlive: true });
  const startedAt = performance.now() + 100;
  const calls = await Promise.all(
    scenario.calls.map((plan, index) => callAt(deployment, agent, plan, index, startedAt)),
  );
  agent.destroy();
  const { violationTimes, arrivalTimes } = await deployment.report();
  // How long they stayed is not told.
  const stays = arrivalTimes.map((at) => ({ from: at, to: at, lengths: plainCall }));
  const upstream = {
    sendCount: stays.length,
    violationTimes: [...violationTimes],
    refusals: [],
    stays,
    strangerStays: [],
  };
  return { calls, upstream, scenario, complaints: [] };
}

/** Resolves when the call is over, however it ended. Times are from the beginning of the run. */
async function callAt(
  deployment: Deployment,
  agent: Agent,
  plan: PlannedCall,
  index: number,
  startedAt: number,
): Promise<CallHistory> {
  const sinceStart = () => performance.now() - startedAt;
  const call: CallHistory = {
    callId: `call-${index + 1}`,
    plan,
    arrivedAt: plan.at,
    etaMs: null,
    startedAt: Number.NaN,
    endedAt: Number.NaN,
    outcome: "open",
    reason: null,
    retryAfterMs: null,
    upstreamRefusals: 0,
  };
  await new Promise((resolve) => setTimeout(resolve, startedAt + plan.at - performance.now()));
  const body = JSON.stringify({
    model: "glm-4.5-flash",
    stream: true,
    thinking: { type: "disabled" },
    messages: [{ role: "user", content: `[frames=${plan.outputTokens}] [delay=${frameMs}] Hello.` }],
  });
  const headers = {
    authorization: `Bearer ${deployment.tokenOf(plan.userId)}`,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  };
  const options = { method: "POST", headers, agent, signal: AbortSignal.timeout(callTimeoutMs) };
  return new Promise((resolve) => {
    const fail = () => resolve(call);
    const request = openRequest(deployment.chatUrl, options, (response) => {
      const headAt = sinceStart();
      response.on("error", fail);
      response.on("end", () => {
        call.endedAt = sinceStart();
        call.outcome = response.statusCode === 200 ? "served" : "refused";
        if (response.statusCode === 200) call.startedAt = Math.max(plan.at, headAt - firstByteMs);
        resolve(call);
      });
      response.resume();
    });
    request.on("error", fail);
    request.end(body);
  });
}
