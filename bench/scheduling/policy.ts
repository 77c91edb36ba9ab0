// What is compared: something that lets calls start. All policies are driven by the same events, and none sees more
// than a gateway would see.

import type { Usage } from "../../src/base/answer.ts";
import type { RefusalReason } from "../../src/base/refusal.ts";
import type { Verdict } from "../../src/base/verdict.ts";
import type { PlannedCall } from "./trace.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** One call, and what became of it. */
export interface CallHistory {
  readonly callId: string;
  readonly plan: PlannedCall;
  readonly arrivedAt: number;
  /** The wait that the policy foresaw at the arrival, or null when it foresees none. */
  etaMs: number | null;
  /** When it was sent for the last time; NaN: never. */
  startedAt: number;
  /** When the policy refused it, its client left, or its answer ended; NaN: not yet. */
  endedAt: number;
  outcome: "open" | "served" | "refused" | "left";
  reason: RefusalReason | null;
  retryAfterMs: number | null;
  /** Times that the upstream refused it. */
  upstreamRefusals: number;
}

export interface PolicyHost {
  /** The call's bytes leave now. */
  start(call: CallHistory): void;
  refuse(call: CallHistory, reason: RefusalReason, retryAfterMs: number | null): void;
}

export interface Policy {
  /** May start or refuse it at once, or later. Returns the foreseen wait, if it foresees one. */
  arrive(call: CallHistory): number | null;
  /** Its client has left while it waited. */
  cancel(call: CallHistory): void;
  /** Bytes of its answer came. Policies without it are spared these events. */
  progress?(call: CallHistory, bytes: number): void;
  /** The upstream refused it. True: the policy will start it again; false: the client gets the refusal. */
  refusedUpstream(call: CallHistory, verdict: Verdict): boolean;
  /** The upstream's side has ended. */
  ended(call: CallHistory, how: "ended" | "aborted", usage: Usage | null): void;
  /** What it still holds, once nothing waits or runs any more; a list of complaints, empty when all is given back. */
  audit?(): readonly string[];
}

export interface PolicyLimits {
  /** Null: no bound. */
  readonly startsPerSecond: number | null;
  readonly concurrencyMax: number | null;
  readonly queueCapacity: number;
  readonly queueTimeoutMs: number;
  readonly sendGuardMs: number;
}

export interface PolicySetup {
  readonly limits: PolicyLimits;
  readonly userCount: number;
  readonly clock: VirtualClock;
  readonly host: PolicyHost;
}

export interface PolicyChoice {
  readonly name: string;
  /** It waits with the global timers, so those have to be virtual while it runs. */
  readonly usesGlobalTimers?: boolean;
  /** Changes the scenario's limits for itself. */
  readonly adapt?: (limits: PolicyLimits) => PolicyLimits;
  create(setup: PolicySetup): Policy;
}

/** What every seed of a deployment starts from: the limits that the product has had from the beginning. */
export const seedLimits: PolicyLimits = {
  startsPerSecond: 2,
  concurrencyMax: null,
  queueCapacity: 20,
  queueTimeoutMs: 5_000,
  sendGuardMs: 20,
};
