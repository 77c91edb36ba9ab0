// The scheduler without its surroundings: no timer, no promise, no I/O; time is an argument that never runs back.
// The same core runs behind the gateway, in property tests, in the simulation and in the scheduling benchmark.
//
//   offer ─┬─ granted ─ sent ─ (firstByte, progress)* ─ release ─ settle
//          ├─ waiting ─┬─ granted by a later tick           └─ report ─ offer again, with its place
//          │           ├─ refused by a later tick: too late, evicted, blocked
//          │           └─ cancel
//          └─ refused
//
// Whoever calls anything but `snapshot` and `gauges` calls `tick` afterwards: it hands out what follows from it.

import type { Usage } from "../base/answer.ts";
import type { TrafficClass } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { RefusalFacts, RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { KeyHealths } from "./key-healths.ts";
import type {
  AdmissionLimits,
  Decision,
  PastCalls,
  Place,
  SchedulerGauges,
  SchedulerSnapshot,
  Standing,
} from "./scheduler.ts";

export interface SchedulerCore {
  offer(call: OfferedCall, now: number): Offer;
  /** The caller no longer wants it. False when it does not wait any more. */
  cancel(waiter: Waiter, now: number): boolean;
  /** Its bytes leave now. */
  sent(grant: Grant, now: number): void;
  /** Bytes of its answer came, the first ones or more. Cheap enough for each frame. */
  progress(grant: Grant, bytes: number, now: number): void;
  /** What the upstream's answer means for the limits. True: worth another try. Only the first counts. */
  report(grant: Grant, verdict: Verdict, now: number): boolean;
  /** The upstream's side has ended. Only the first counts. */
  release(grant: Grant, how: "ended" | "aborted", now: number): void;
  /** What it really used; null: unknown. Only the first counts. May come before or after the release. */
  settle(grant: Grant, usage: Usage | null, now: number): void;
  /** Starts, refuses and unblocks whatever is due. The turn's arrays are the caller's. */
  tick(now: number): Turn;
  configure(limits: AdmissionLimits, now: number): void;
  /** The health of keys has changed behind its back. */
  recheck(now: number): void;
  /** Takes everybody out who waits. */
  clear(): readonly Waiter[];
  standing(waiter: Waiter, now: number): Standing;
  allowances(userId: string, now: number): readonly RemainingLimit[];
  gauges(now: number): SchedulerGauges;
  snapshot(now: number): SchedulerSnapshot;
}

export interface OfferedCall {
  readonly callId: string;
  readonly userId: string;
  readonly weight: number;
  readonly class: TrafficClass;
  readonly flowId: string;
  readonly model: string;
  /** As in the port's wish. */
  readonly upstreamKey?: string | null;
  readonly keyKind?: string | null;
  readonly affinity?: string | null;
  readonly patienceMs: number | null;
  readonly inputBytes: number;
  /** Of pictures, sound and files. Default: 0. */
  readonly binaryTokens?: number;
  readonly outputTokensMax: number | null;
  readonly retryCount: number;
  readonly place: Place | null;
}

export type Offer =
  | { readonly kind: "granted"; readonly grant: Grant }
  | { readonly kind: "waiting"; readonly waiter: Waiter; readonly standing: Standing }
  | { readonly kind: "refused"; readonly no: No };

/** A refusal as data: the core throws nothing. */
export interface No {
  readonly reason: RefusalReason;
  readonly facts: RefusalFacts;
}

/** A call in the queue; what else it holds is the core's. */
export interface Waiter {
  readonly call: OfferedCall;
  readonly place: Place;
  /** Its place when it arrived (0: it did not have to wait), and the wait that was foreseen then. */
  readonly positionAtArrival: number;
  readonly etaMsAtArrival: number;
  readonly isWaiting: boolean;
}

/** A call that may run, or runs. */
export interface Grant {
  readonly call: OfferedCall;
  readonly place: Place;
  readonly upstreamKey: string;
  readonly positionAtArrival: number;
  readonly etaMsAtArrival: number;
  readonly grantedAt: number;
}

export interface Turn {
  readonly granted: readonly { readonly waiter: Waiter; readonly grant: Grant }[];
  readonly refused: readonly { readonly waiter: Waiter; readonly no: No }[];
  /** When `tick` must be called again at the latest; Infinity: only after something else was called. */
  readonly wakeAt: number;
}

/** Told of decisions as they are made. */
export type DecisionObserver = (decision: Decision) => void;

export interface CoreOptions {
  readonly limits: AdmissionLimits;
  /** Uniform in [0, 1), for jitter only. */
  readonly random: () => number;
  /** Default: nothing was sent. */
  readonly past?: PastCalls;
  /** Of the keys, where several cores share them. Default: its own. */
  readonly healths?: KeyHealths;
  /** Told of what concerns the upstream and its limits, which is rare. */
  readonly observer?: DecisionObserver;
  /** For the decisions on single calls, asked anew for each: null, nobody wants to know, and none is made. */
  readonly tracer?: () => DecisionObserver | null;
  /** Costs within which a call goes first whose time is up after as many; 0: strictly by virtual time. Default 1. */
  readonly deadlineWindow?: number;
  /** What a call costs. Default: lane-milliseconds of the scarcest resource. Others are there to be compared with. */
  readonly price?: Price;
}

/** The cost of a call that held a place for `slotMs` and used so many tokens. */
export type Price = (slotMs: number, tokens: number) => number;
