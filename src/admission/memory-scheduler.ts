// The scheduler of one process: the fair core with what it leaves out, which is the one timer, promises and abort
// signals. Decides nothing.

import type { Usage } from "../base/answer.ts";
import type { Clock } from "../base/clock.ts";
import { type Principal, type TrafficClass, trafficClasses } from "../base/principal.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { CoreOptions, Grant, No, OfferedCall, SchedulerCore, Waiter } from "./core.ts";
import { createFairCore } from "./fair-core.ts";
import { KeyHealths } from "./key-healths.ts";
import type { AdmissionLimits, AdmissionWish, Place, Scheduler, Ticket } from "./scheduler.ts";

export interface MemorySchedulerOptions extends Pick<CoreOptions, "observer" | "tracer" | "past"> {
  /** Of the keys, where several schedulers share them: each tells when it has changed them, and is told by `recheck`. */
  readonly shared?: { readonly healths: KeyHealths; onChange(): void };
}

export interface MemoryScheduler extends Scheduler {
  /** Keys may serve now that did not, or the other way round. */
  recheck(): void;
}

export function createMemoryScheduler(
  limits: AdmissionLimits,
  clock: Clock,
  { shared, ...options }: MemorySchedulerOptions = {},
): MemoryScheduler {
  const healths = shared?.healths ?? new KeyHealths();
  const core = createFairCore({ limits, random: clock.random, healths, ...options });
  let changeCount = healths.changeCount;
  let isClosed = false;
  let wakeAt = Number.POSITIVE_INFINITY;
  let cancelAlarm = () => {};

  function admit(principal: Principal, wish: AdmissionWish, signal: AbortSignal): Promise<Ticket> {
    if (signal.aborted) return Promise.reject(refusalOf(signal));
    if (isClosed) return Promise.reject(new Refusal("shutting_down"));
    const now = clock.now();
    const call = new PendingCall(principal, wish, signal, leave);
    const offer = core.offer(call, now);
    if (offer.kind === "waiting") {
      const ticket = call.wait(offer.waiter);
      wish.onQueued?.(() => core.standing(offer.waiter, clock.now()));
      handOut(now);
      return ticket;
    }
    handOut(now);
    if (offer.kind === "refused") return Promise.reject(toRefusal(offer.no));
    return Promise.resolve(new RunningTicket(core, offer.grant, clock, handOut));
  }

  function leave(call: PendingCall, waiter: Waiter): void {
    const now = clock.now();
    // Leaving the queue and being refused are one step, so a waiter that gave up can never be handed a ticket.
    if (core.cancel(waiter, now)) call.refuse(refusalOf(call.signal));
    handOut(now);
  }

  /** Lets the core do what is due, tells those whom it concerns, and arms the timer for the next time. */
  function handOut(now = clock.now()): void {
    const turn = core.tick(now);
    for (const { waiter, grant } of turn.granted)
      pendingOf(waiter).start(new RunningTicket(core, grant, clock, handOut));
    for (const { waiter, no } of turn.refused) pendingOf(waiter).refuse(toRefusal(no));
    arm(isClosed ? Number.POSITIVE_INFINITY : turn.wakeAt, now);
    if (changeCount === healths.changeCount) return;
    changeCount = healths.changeCount;
    shared?.onChange();
  }

  function arm(nextAt: number, now: number): void {
    if (nextAt === wakeAt) return;
    cancelAlarm();
    cancelAlarm = () => {};
    wakeAt = nextAt;
    if (wakeAt < Number.POSITIVE_INFINITY) cancelAlarm = clock.after(Math.max(0, wakeAt - now), wake);
  }

  function recheck(): void {
    const now = clock.now();
    changeCount = healths.changeCount;
    core.recheck(now);
    handOut(now);
  }

  /** A timer may fire a little early: then the core finds nothing due, and the rest is armed again. */
  function wake(): void {
    wakeAt = Number.POSITIVE_INFINITY;
    handOut();
  }

  function configure(changed: AdmissionLimits): void {
    const now = clock.now();
    core.configure(changed, now);
    handOut(now);
  }

  function close(): void {
    isClosed = true;
    for (const waiter of core.clear()) pendingOf(waiter).refuse(new Refusal("shutting_down"));
    handOut();
  }

  return {
    admit,
    allowances: ({ userId }) => core.allowances(userId, clock.now()),
    snapshot: () => core.snapshot(clock.now()),
    gauges: () => core.gauges(clock.now()),
    configure,
    close,
    recheck,
  };
}

/** A call as the core knows it, with what its promise and its client's signal need: one object for all that. */
class PendingCall implements OfferedCall {
  readonly callId: string;
  readonly userId: string;
  readonly weight: number;
  readonly class: TrafficClass;
  readonly flowId: string;
  readonly model: string;
  readonly upstreamKey: string | null;
  readonly keyKind: string | null;
  readonly affinity: string | null;
  readonly patienceMs: number | null;
  readonly inputBytes: number;
  readonly binaryTokens: number;
  readonly outputTokensMax: number | null;
  readonly retryCount: number;
  readonly place: Place | null;
  readonly signal: AbortSignal;
  readonly #leave: (call: PendingCall, waiter: Waiter) => void;
  #waiter: Waiter | null = null;
  #resolve: ((ticket: Ticket) => void) | null = null;
  #reject: ((refusal: Refusal) => void) | null = null;

  constructor(
    principal: Principal,
    wish: AdmissionWish,
    signal: AbortSignal,
    leave: (call: PendingCall, waiter: Waiter) => void,
  ) {
    this.callId = wish.callId;
    this.userId = principal.userId;
    this.weight = principal.weight;
    this.class = toLower(principal.class, wish.class);
    this.flowId = principal.flowId;
    this.model = wish.model;
    this.upstreamKey = wish.upstreamKey ?? null;
    this.keyKind = wish.keyKind ?? null;
    this.affinity = wish.affinity ?? null;
    this.patienceMs = wish.patienceMs;
    this.inputBytes = wish.inputBytes;
    this.binaryTokens = wish.binaryTokens ?? 0;
    this.outputTokensMax = wish.outputTokensMax;
    this.retryCount = wish.retryCount;
    this.place = wish.place;
    this.signal = signal;
    this.#leave = leave;
  }

  wait(waiter: Waiter): Promise<Ticket> {
    this.#waiter = waiter;
    this.signal.addEventListener("abort", this, { once: true });
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Called by the signal. */
  handleEvent(): void {
    if (this.#waiter) this.#leave(this, this.#waiter);
  }

  start(ticket: Ticket): void {
    this.#resolve?.(ticket);
    this.#forget();
  }

  refuse(refusal: Refusal): void {
    this.#reject?.(refusal);
    this.#forget();
  }

  #forget(): void {
    this.signal.removeEventListener("abort", this);
    this.#waiter = null;
    this.#resolve = null;
    this.#reject = null;
  }
}

/** Every call that the core knows is one of ours. */
function pendingOf(waiter: Waiter): PendingCall {
  return waiter.call as PendingCall;
}

/** A call may ask for a lower class than its principal's, never for a higher one. */
function toLower(own: TrafficClass, wanted: TrafficClass | null): TrafficClass {
  const rank = Math.max(trafficClasses.indexOf(own), trafficClasses.indexOf(wanted ?? own));
  return trafficClasses[rank] ?? own;
}

function toRefusal({ reason, facts }: No): Refusal {
  return new Refusal(reason, facts);
}

/**
 * A class for its getter: an object literal with one gets a hidden class of its own, which is old from birth and keeps
 * the whole call from the collector of young objects.
 */
class RunningTicket implements Ticket {
  readonly upstreamKey: string;
  readonly queuePosition: number;
  readonly etaMs: number;
  readonly waitedMs: number;
  readonly #core: SchedulerCore;
  readonly #grant: Grant;
  readonly #clock: Clock;
  readonly #handOut: (now: number) => void;

  /** `handOut` lets others have what this call's progress makes free. */
  constructor(core: SchedulerCore, grant: Grant, clock: Clock, handOut: (now: number) => void) {
    this.upstreamKey = grant.upstreamKey;
    this.queuePosition = grant.positionAtArrival;
    this.etaMs = grant.etaMsAtArrival;
    this.waitedMs = grant.grantedAt - grant.place.arrivedAt;
    this.#core = core;
    this.#grant = grant;
    this.#clock = clock;
    this.#handOut = handOut;
  }

  get place(): Place {
    return this.#grant.place;
  }

  markSent(): void {
    const now = this.#clock.now();
    this.#core.sent(this.#grant, now);
    this.#handOut(now);
  }

  /** The one thing that happens with each frame: nobody's turn depends on it. */
  noteBytes(count: number): void {
    this.#core.progress(this.#grant, count, this.#clock.now());
  }

  report(verdict: Verdict): boolean {
    const now = this.#clock.now();
    const isWorthAnotherTry = this.#core.report(this.#grant, verdict, now);
    this.#handOut(now);
    return isWorthAnotherTry;
  }

  release(how: "ended" | "aborted"): void {
    const now = this.#clock.now();
    this.#core.release(this.#grant, how, now);
    this.#handOut(now);
  }

  settle(usage: Usage | null): void {
    const now = this.#clock.now();
    this.#core.settle(this.#grant, usage, now);
    this.#handOut(now);
  }

  [Symbol.dispose](): void {
    const now = this.#clock.now();
    this.#core.release(this.#grant, "aborted", now);
    this.#core.settle(this.#grant, null, now);
    this.#handOut(now);
  }
}
