// One run: a scenario's calls through one policy to the upstream, in virtual time. Plays the gateway and its clients,
// and keeps the history of each call; what that is worth is computed in measures.ts.

import type { RefusalReason } from "../../src/base/refusal.ts";
import type { Verdict } from "../../src/base/verdict.ts";
import type { CallHistory, PolicyChoice, PolicyLimits } from "./policy.ts";
import type { PlannedCall } from "./trace.ts";
import {
  createUpstream,
  type Upstream,
  type UpstreamCall,
  type UpstreamOptions,
  type UpstreamReport,
} from "./upstream.ts";
import { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";
import { withVirtualGlobals } from "./virtual-globals.ts";

export interface Scenario {
  readonly calls: readonly PlannedCall[];
  /** How long calls come. The run goes on until they have ended. */
  readonly durationMs: number;
  readonly limits: PolicyLimits;
  readonly upstream: UpstreamOptions;
  /** Arms what happens to the upstream. */
  readonly script?: (upstream: Upstream, clock: VirtualClock) => void;
  /** A call is over: what its client calls next, if anything. */
  readonly react?: (call: CallHistory, clock: VirtualClock) => PlannedCall | null;
  /** Whether the gateway notices that a client has left. Default true. */
  readonly noticesLeaving?: boolean;
}

export interface RunResult {
  readonly calls: readonly CallHistory[];
  readonly upstream: UpstreamReport;
  readonly scenario: Scenario;
  /** What the policy had not given back at the end. */
  readonly complaints: readonly string[];
}

const progressEveryMs = 250;
/** Whatever has not ended so long after the last arrival is left open. */
const drainMs = 1_200_000;

export async function runScenario(scenario: Scenario, choice: PolicyChoice, seed: number): Promise<RunResult> {
  const clock = createVirtualClock(seed * 7_919 + 1);
  // The policy itself is made in virtual time as well: libraries look at the clock when they are made.
  if (!choice.usesGlobalTimers) return play(scenario, choice, clock);
  return withVirtualGlobals(clock, (drain) => play(scenario, choice, clock, drain));
}

async function play(
  scenario: Scenario,
  choice: PolicyChoice,
  clock: VirtualClock,
  drain?: () => Promise<void>,
): Promise<RunResult> {
  const { durationMs, noticesLeaving = true } = scenario;
  const upstream = createUpstream(clock, scenario.upstream);
  const calls: CallHistory[] = [];
  const running = new Map<CallHistory, UpstreamCall>();
  const limits = choice.adapt?.(scenario.limits) ?? scenario.limits;
  const userCount = new Set(scenario.calls.map(({ userId }) => userId)).size;
  const policy = choice.create({ limits, userCount, clock, host: { start, refuse } });

  function arrive(plan: PlannedCall): void {
    const call: CallHistory = {
      callId: `call-${calls.length + 1}`,
      plan,
      arrivedAt: clock.now(),
      etaMs: null,
      startedAt: Number.NaN,
      endedAt: Number.NaN,
      outcome: "open",
      reason: null,
      retryAfterMs: null,
      upstreamRefusals: 0,
    };
    calls.push(call);
    call.etaMs = policy.arrive(call);
    if (plan.leavesAfterMs !== null) clock.after(plan.leavesAfterMs, () => leave(call));
  }

  function start(call: CallHistory): void {
    if (running.has(call)) throw new Error(`${call.callId} was started twice`);
    if (noticesLeaving && call.outcome !== "open") throw new Error(`${call.callId} was started: ${call.outcome}`);
    call.startedAt = clock.now();
    const sending = upstream.send(call.plan, {
      progressEveryMs: policy.progress ? progressEveryMs : null,
      onProgress: (bytes) => policy.progress?.(call, bytes),
      onRefused: (verdict) => refuseUpstream(call, verdict),
      onEnd(usage) {
        running.delete(call);
        if (call.outcome === "open") end(call, "served");
        policy.ended(call, "ended", usage);
      },
    });
    running.set(call, sending);
  }

  function refuse(call: CallHistory, reason: RefusalReason, retryAfterMs: number | null): void {
    if (running.has(call)) throw new Error(`${call.callId} was refused although it runs`);
    if (noticesLeaving && call.outcome !== "open") throw new Error(`${call.callId} was refused: ${call.outcome}`);
    call.reason = reason;
    call.retryAfterMs = retryAfterMs;
    if (call.outcome === "open") end(call, "refused");
  }

  function refuseUpstream(call: CallHistory, verdict: Verdict): void {
    running.delete(call);
    call.upstreamRefusals++;
    if (policy.refusedUpstream(call, verdict) || call.outcome !== "open") return;
    call.reason = verdict.kind === "quota" ? "upstream_quota" : "upstream_rate_limited";
    end(call, "refused");
  }

  function leave(call: CallHistory): void {
    if (call.outcome !== "open") return;
    end(call, "left");
    if (!noticesLeaving) return;
    const sending = running.get(call);
    if (!sending) {
      policy.cancel(call);
      return;
    }
    running.delete(call);
    sending.abort();
    policy.ended(call, "aborted", null);
  }

  function end(call: CallHistory, outcome: CallHistory["outcome"]): void {
    call.outcome = outcome;
    call.endedAt = clock.now();
    const next = scenario.react?.(call, clock);
    if (next) clock.at(next.at, () => arrive(next));
  }

  for (const plan of scenario.calls) clock.at(plan.at, () => arrive(plan));
  scenario.script?.(upstream, clock);
  await clock.run(durationMs + drainMs, drain);
  return { calls, upstream: upstream.report, scenario, complaints: policy.audit?.() ?? [] };
}
