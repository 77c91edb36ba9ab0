// The admission port: may this call start, and when? Knows nothing of HTTP and of what a call carries.
//
//   admit ── granted ── markSent ── release        a slot in the window from the send, in the lane to the end
//     │         │          └─────── report         the upstream refused: admit again, at the place it had
//     │         └─────── release                   never sent: the slot in the window is given back
//     └── refused: queue_full, user_queue_full, wait_too_long, queue_timeout, client_gone, upstream_…, shutting_down

import type { Usage } from "../base/answer.ts";
import type { Principal, TrafficClass } from "../base/principal.ts";
import type { QueueStanding, RemainingLimit } from "../base/queue-facts.ts";
import type { RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";

export interface Scheduler {
  /**
   * Resolves when the call may be sent; whoever holds the ticket must release it.
   * Rejects with a Refusal: `queue_full`, `user_queue_full`, `wait_too_long`, `queue_timeout`, `shutting_down`,
   * `upstream_quota`, `upstream_account` or `upstream_failed` while no key can serve the call, `upstream_account` when
   * the key that it is bound to is not there, `invalid_field` when none is for its model, or what the signal was
   * aborted with.
   * A call that was refused or whose signal fired is never started.
   */
  admit(principal: Principal, wish: AdmissionWish, signal: AbortSignal): Promise<Ticket>;
  /** What is left of each limit that this principal's calls of the family meet, the scarcest first. */
  allowances(principal: Principal, family?: string): readonly RemainingLimit[];
  /** The state now, for live views. Costs O(waiting log waiting + running). */
  snapshot(): SchedulerSnapshot;
  /** The state now in numbers, for metrics. Costs O(users + lanes). */
  gauges(): SchedulerGauges;
  /** Takes new limits at once. Calls that run go on; calls that wait keep their place and their old deadline. */
  configure(limits: AdmissionLimits): void;
  /** Refuses all that wait and all that comes, with `shutting_down`. */
  close(): void;
}

/** What a call asks for. */
export interface AdmissionWish {
  readonly callId: string;
  readonly model: string;
  /** Such as "images": families with limits of their own (`AdmissionLimits.families`) wait apart. Default: "chat". */
  readonly family?: string;
  /** The only key that will do, or another of its account, since what the call asks for is there. Null: any. */
  readonly upstreamKey?: string | null;
  /** Only keys of this kind know what is asked for. Null: any. */
  readonly keyKind?: string | null;
  /** Calls with the same one go to the same key as long as that costs little, since its upstream caches prompts. */
  readonly affinity?: string | null;
  /** How long the client itself waits for the whole call, or null when it does not say. */
  readonly patienceMs: number | null;
  /** Size of the request's body, from which its tokens are guessed. */
  readonly inputBytes: number;
  /** Of pictures, sound and files. Default: 0. */
  readonly binaryTokens?: number;
  /** The most tokens that the answer may have, or null when the client does not say. */
  readonly outputTokensMax: number | null;
  /** A lower class than the principal's own, or null. A higher one is not given. */
  readonly class: TrafficClass | null;
  /** How many tries of the same call the client made before: it goes before its session's newer calls. */
  readonly retryCount: number;
  /** Where the call stood when the upstream refused it, or null for a new one. */
  readonly place: Place | null;
  /** Called once, when the call has to wait; `look` tells where it stands for as long as it waits. */
  onQueued?(look: () => Standing): void;
}

/** Where a call stands in the queue. `etaMs` holds if nobody comes who goes before it: a lower bound. */
export interface Standing extends QueueStanding {
  /** What nine of ten calls have stayed below that stood like this. */
  readonly etaP90Ms: number;
}

/** A call's seniority, kept when the upstream refuses it. */
export interface Place {
  /** Order of arrival; a client's repeated call is as if it had come before all that were not repeated. */
  readonly sequence: number;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  readonly tryCount: number;
  /** What the upstream said at the last try: what the client hears if there is no time for another. Null: nothing. */
  readonly upstreamRefusal: { readonly reason: RefusalReason; readonly code: string | null } | null;
  /** Names of keys that failed the call: others are tried first. */
  readonly triedKeys: readonly string[];
}

/** What was sent before the scheduler began. The upstream's windows go on over a restart. Times are the scheduler's. */
export interface PastCalls {
  readonly calls: readonly PastCall[];
  /** Until then more may have been sent: as much as the limits let through. Null: `calls` are all. */
  readonly unknownUntil: number | null;
}

export interface PastCall {
  /** Null, or a name that is not there: it counts for every key. */
  readonly upstreamKey: string | null;
  readonly model: string | null;
  /** Any of these may be its own. */
  readonly families: readonly string[];
  readonly sentAt: number;
  readonly tokens: number;
  readonly endedAt: number;
  /** It may run upstream for a while after its end here. */
  readonly wasCut: boolean;
}

export interface AdmissionLimits {
  /** At least one. */
  readonly keys: readonly KeyLimits[];
  /** Those that have gates of their own on each account and a queue of their own; all others share the keys'. */
  readonly families?: readonly FamilyLimits[];
  /** The first pattern that matches a model's name counts, per key. */
  readonly models: readonly ModelLimits[];
  /** Of each user alone; what is beyond waits. */
  readonly user: GateLimits;
  /** Calls of one user that may wait, or null for no bound but the queue's own. */
  readonly userQueueCapacity: number | null;
  /** Calls that may wait; 0 means that a call starts at once or not at all. */
  readonly queueCapacity: number;
  readonly queueTimeoutMs: number;
  /** Refuse at once what would time out in the queue anyway. */
  readonly refusesEarly: boolean;
  /** Added to every window of a key: the upstream sees arrivals, whose delay varies, not our sends. */
  readonly sendGuardMs: number;
  /** How long an aborted call still counts as in flight, since the upstream needs time to notice. */
  readonly abortLingerMs: number;
}

/** Null means no bound. */
export interface GateLimits {
  readonly startsPerSecond: number | null;
  /** Calls in flight at once. */
  readonly concurrencyMax: number | null;
  readonly tokensPerMinute: number | null;
}

/** Of an account: the limits of its first key count. */
export interface KeyLimits extends GateLimits {
  /** Its name, never the key itself. */
  readonly name: string;
  /** Keys of one account share its limits and what was learned of them. Default: its own, of the key's name. */
  readonly account?: string;
  /** Its part of the calls, relative to other keys. Default: 1. */
  readonly weight?: number;
  /** What speaks at its other end, for calls that not everything understands. */
  readonly kind?: string;
  /** Patterns of the models that it serves, `*` standing for anything; null: all. */
  readonly models: readonly string[] | null;
}

export interface ModelLimits extends GateLimits {
  readonly pattern: string;
}

/** What each account bears of a family's calls, beside all others. */
export interface FamilyLimits extends Pick<GateLimits, "startsPerSecond" | "concurrencyMax"> {
  readonly family: string;
}

/** The right to run one call upstream. Disposing releases and settles it, if nothing did before. */
export interface Ticket extends Disposable {
  /** Name of the upstream key to send with. */
  readonly upstreamKey: string;
  /** Its place in the queue when it arrived, 1 being the next to start; 0: it did not have to wait. */
  readonly queuePosition: number;
  /** The wait that was foreseen when it arrived. */
  readonly etaMs: number;
  readonly waitedMs: number;
  /** To be admitted again with, after the upstream refused it. */
  readonly place: Place;
  /** The request's bytes leave now: from here the call counts in the upstream's window. */
  markSent(): void;
  /** Bytes of the answer came in. */
  noteBytes(count: number): void;
  /**
   * What the upstream's answer means for its limits, or that there was none. True: the call should be admitted again,
   * with its `place`; it has not reached the client, and another try has a chance, maybe with another key. The first
   * report counts, later ones hear the same.
   */
  report(verdict: Verdict): boolean;
  /** The upstream's side has ended. The first release counts, later ones change nothing. */
  release(how: "ended" | "aborted"): void;
  /** What the call really used; null when the upstream did not say. The first settling counts. */
  settle(usage: Usage | null): void;
}

export interface SchedulerGauges {
  readonly waiting: number;
  readonly running: number;
  /** Of each queue: families with limits of their own have one each. */
  readonly queueCapacity: number;
  readonly lanes: readonly LaneState[];
  readonly users: readonly UserState[];
}

export interface SchedulerSnapshot extends SchedulerGauges {
  readonly limits: AdmissionLimits;
  readonly runningCalls: readonly RunningCall[];
  /** In the order in which they will start, as far as that can be foreseen. */
  readonly waitingCalls: readonly WaitingCall[];
  /** When the next waiting call may start, from now; null when it depends on a running one's end. */
  readonly nextStartInMs: number | null;
}

export interface RunningCall {
  readonly callId: string;
  readonly userId: string;
  readonly model: string;
  /** Where that has a queue of its own. */
  readonly family?: string;
  readonly class: TrafficClass;
  readonly upstreamKey: string;
  readonly runningMs: number;
  readonly isSent: boolean;
}

/** Its position is that in its own queue. */
export interface WaitingCall extends Standing {
  readonly callId: string;
  readonly userId: string;
  readonly model: string;
  /** Where that has a queue of its own. */
  readonly family?: string;
  readonly class: TrafficClass;
  readonly waitedMs: number;
  /** What keeps it from starting now, beside those before it. */
  readonly blockedBy: Blocker;
  readonly tryCount: number;
}

/** turn: others go first · the rest: the limit of that scope is reached, or the upstream said so. */
export type Blocker =
  | "turn"
  | "rate"
  | "concurrency"
  | "tokens"
  | "hold"
  | "model_rate"
  | "model_concurrency"
  | "model_tokens"
  | "model_hold"
  | "user_rate"
  | "user_concurrency"
  | "user_tokens";

/** One upstream limit that calls share: of a key (`model` null), or of a model on a key. Keys of an account say the same. */
export interface LaneState {
  readonly upstreamKey: string;
  readonly model: string | null;
  /** Whose limit it is, where that is not everybody's. */
  readonly family?: string;
  readonly running: number;
  /** Calls in flight that are allowed now, learned limits included; null: no bound. */
  readonly concurrencyMax: number | null;
  /** What the upstream's refusals have taught; null: nothing. */
  readonly learnedConcurrency: number | null;
  /** How much slower than configured calls start; 1 is not at all. */
  readonly slowdown: number;
  /** Added to the window, the learned part included. */
  readonly guardMs: number;
  /** Nothing starts for so long, 0 when it is open. */
  readonly blockedMs: number;
  /** The upstream's business code or word for the block, or null. */
  readonly blockedBecause: string | null;
  readonly isDisabled: boolean;
}

export interface UserState {
  readonly userId: string;
  readonly class: TrafficClass;
  readonly weight: number;
  readonly waiting: number;
  readonly running: number;
  /** Lane-seconds of service since the scheduler knows the user. */
  readonly servedSeconds: number;
  /** How far ahead of its fair share it is, in lane-seconds; 0 is none. */
  readonly aheadSeconds: number;
}

/** One thing that the scheduler decided, and why. For the debug log; alerts go to the log as errors. */
export interface Decision {
  readonly what:
    | "granted"
    | "queued"
    | "requeued"
    | "refused"
    | "evicted"
    | "left"
    | "upstream_refused"
    | "limit_lowered"
    | "limit_raised"
    | "slowed"
    | "quickened"
    | "blocked"
    | "disabled"
    | "enabled";
  readonly isAlert: boolean;
  readonly why: string;
  readonly callId?: string;
  readonly userId?: string;
  readonly model?: string | null;
  /** Where that has limits of its own. */
  readonly family?: string;
  readonly upstreamKey?: string;
  readonly position?: number;
  readonly etaMs?: number;
  readonly waitedMs?: number;
  /** The upstream's business code; null: it gave none. */
  readonly code?: string | null;
  readonly limit?: number | null;
  readonly forMs?: number;
}
