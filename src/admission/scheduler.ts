// The admission port: may this call start, and when? Knows nothing of HTTP and of what a call carries.
//
//   admit ── granted ── markSent ── release        a slot in the window from the send, in the lane to the end
//     │         └─────── release                   never sent: the slot in the window is given back
//     └── refused: queue_full, queue_timeout, client_gone, shutting_down

import type { Principal } from "../base/principal.ts";

export interface Scheduler {
  /**
   * Resolves when the call may be sent; whoever holds the ticket must release it.
   * Rejects with a Refusal: `queue_full`, `queue_timeout`, `shutting_down`, or what the signal was aborted with.
   * A call that was refused or whose signal fired is never started.
   */
  admit(principal: Principal, request: AdmissionRequest, signal: AbortSignal): Promise<Ticket>;
  /** The state now, for metrics and live views. Costs O(waiting + running). */
  snapshot(): SchedulerSnapshot;
  /** Takes new limits at once. Calls that run go on; calls that wait keep their place and their old deadline. */
  configure(limits: AdmissionLimits): void;
  /** Refuses all that wait and all that comes, with `shutting_down`. */
  close(): void;
}

export interface AdmissionRequest {
  readonly callId: string;
  readonly model: string;
  /** How long the client itself waits for the whole call, or null when it does not say. */
  readonly patienceMs: number | null;
}

export interface AdmissionLimits {
  readonly startsPerSecond: number;
  /** Calls in flight at the upstream at once; null means no bound. */
  readonly concurrencyMax: number | null;
  /** Calls that may wait; 0 means that a call starts at once or not at all. */
  readonly queueCapacity: number;
  readonly queueTimeoutMs: number;
  /** Added to every window: the upstream sees arrivals, whose delay varies, not our sends. */
  readonly sendGuardMs: number;
  /** How long an aborted call still counts as in flight, since the upstream needs time to notice. */
  readonly abortLingerMs: number;
}

/** The right to run one call upstream. Disposing releases it as aborted, if nothing released it before. */
export interface Ticket extends Disposable {
  /** Which upstream key to send with. */
  readonly upstreamKey: string;
  /** Calls ahead of this one when it arrived; 0 means that it did not have to queue behind any. */
  readonly queuePosition: number;
  readonly waitedMs: number;
  /** The request's bytes leave now: from here the call counts in the upstream's window. */
  markSent(): void;
  /** The upstream said that its limit is reached: nothing starts for `holdMs`. */
  holdLane(holdMs: number): void;
  /** The upstream's side has ended. The first release counts, later ones change nothing. */
  release(how: "ended" | "aborted"): void;
}

export interface SchedulerSnapshot {
  readonly limits: AdmissionLimits;
  readonly running: readonly RunningCall[];
  /** In the order in which they will start. */
  readonly waiting: readonly WaitingCall[];
  /** When the next waiting call may start, from now; null when it depends on a running one's end. */
  readonly nextStartInMs: number | null;
}

export interface RunningCall {
  readonly callId: string;
  readonly userId: string;
  readonly model: string;
  readonly runningMs: number;
  readonly isSent: boolean;
}

export interface WaitingCall {
  readonly callId: string;
  readonly userId: string;
  readonly model: string;
  /** 1 is the next to start. */
  readonly position: number;
  readonly waitedMs: number;
  readonly etaMs: number;
}
