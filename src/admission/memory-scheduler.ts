// The scheduler of one process: the fair core with what it leaves out, which is the one timer, promises and abort
// signals. Decides nothing.

import type { Clock } from "../base/clock.ts";
import { type Principal, trafficClasses } from "../base/principal.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import type { CoreOptions, Grant, No, OfferedCall, SchedulerCore, Waiter } from "./core.ts";
import { createFairCore } from "./fair-core.ts";
import type { AdmissionLimits, AdmissionWish, Scheduler, Ticket } from "./scheduler.ts";

export type MemorySchedulerOptions = Pick<CoreOptions, "observer" | "tracer">;

interface Pending {
  readonly resolve: (ticket: Ticket) => void;
  readonly reject: (refusal: Refusal) => void;
  readonly signal: AbortSignal;
  readonly leave: () => void;
}

export function createMemoryScheduler(
  limits: AdmissionLimits,
  clock: Clock,
  options: MemorySchedulerOptions = {},
): Scheduler {
  const core = createFairCore({ limits, random: clock.random, ...options });
  const pendings = new Map<Waiter, Pending>();
  let isClosed = false;
  let wakeAt = Number.POSITIVE_INFINITY;
  let cancelAlarm = () => {};

  async function admit(principal: Principal, wish: AdmissionWish, signal: AbortSignal): Promise<Ticket> {
    if (signal.aborted) throw refusalOf(signal);
    if (isClosed) throw new Refusal("shutting_down");
    const now = clock.now();
    const offer = core.offer(toCall(principal, wish), now);
    switch (offer.kind) {
      case "granted":
        handOut(now);
        return toTicket(core, offer.grant, clock, handOut);
      case "refused":
        handOut(now);
        throw toRefusal(offer.no);
      case "waiting": {
        const { waiter } = offer;
        const ticket = wait(waiter, signal);
        wish.onQueued?.(() => core.standing(waiter, clock.now()));
        handOut(now);
        return ticket;
      }
    }
  }

  function wait(waiter: Waiter, signal: AbortSignal): Promise<Ticket> {
    const { promise, resolve, reject } = Promise.withResolvers<Ticket>();
    const leave = () => {
      const now = clock.now();
      // Leaving the queue and being refused are one step, so a waiter that gave up can never be handed a ticket.
      if (core.cancel(waiter, now)) forget(waiter)?.reject(refusalOf(signal));
      handOut(now);
    };
    pendings.set(waiter, { resolve, reject, signal, leave });
    signal.addEventListener("abort", leave, { once: true });
    return promise;
  }

  function forget(waiter: Waiter): Pending | undefined {
    const pending = pendings.get(waiter);
    pendings.delete(waiter);
    pending?.signal.removeEventListener("abort", pending.leave);
    return pending;
  }

  /** Lets the core do what is due, tells those whom it concerns, and arms the timer for the next time. */
  function handOut(now = clock.now()): void {
    const turn = core.tick(now);
    for (const { waiter, grant } of turn.granted) forget(waiter)?.resolve(toTicket(core, grant, clock, handOut));
    for (const { waiter, no } of turn.refused) forget(waiter)?.reject(toRefusal(no));
    if (turn.wakeAt === wakeAt) return;
    cancelAlarm();
    cancelAlarm = () => {};
    wakeAt = isClosed ? Number.POSITIVE_INFINITY : turn.wakeAt;
    if (wakeAt < Number.POSITIVE_INFINITY) cancelAlarm = clock.after(Math.max(0, wakeAt - now), wake);
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
    for (const waiter of core.clear()) forget(waiter)?.reject(new Refusal("shutting_down"));
    handOut();
  }

  return {
    admit,
    allowances: ({ userId }) => core.allowances(userId, clock.now()),
    snapshot: () => core.snapshot(clock.now()),
    gauges: () => core.gauges(clock.now()),
    configure,
    close,
  };
}

/** A call may ask for a lower class than its principal's, never for a higher one. */
function toCall({ userId, weight, class: own, flowId }: Principal, wish: AdmissionWish): OfferedCall {
  const { callId, model, patienceMs, inputBytes, outputTokensMax, retryCount, place } = wish;
  const rank = Math.max(trafficClasses.indexOf(own), trafficClasses.indexOf(wish.class ?? own));
  return {
    callId,
    userId,
    weight,
    class: trafficClasses[rank] ?? own,
    flowId,
    model,
    patienceMs,
    inputBytes,
    outputTokensMax,
    retryCount,
    place,
  };
}

function toRefusal({ reason, facts }: No): Refusal {
  return new Refusal(reason, facts);
}

/** `handOut` lets others have what this call's progress makes free. */
function toTicket(core: SchedulerCore, grant: Grant, clock: Clock, handOut: (now: number) => void): Ticket {
  /** One moment for the core and for what follows from it. */
  function then<Result>(act: (now: number) => Result): Result {
    const now = clock.now();
    const result = act(now);
    handOut(now);
    return result;
  }

  return {
    upstreamKey: grant.upstreamKey,
    queuePosition: grant.positionAtArrival,
    etaMs: grant.etaMsAtArrival,
    waitedMs: grant.grantedAt - grant.place.arrivedAt,
    get place() {
      return grant.place;
    },
    markSent: () => then((now) => core.sent(grant, now)),
    // The one thing that happens with each frame: nobody's turn depends on it.
    noteBytes: (count) => core.progress(grant, count, clock.now()),
    report: (verdict) => then((now) => core.report(grant, verdict, now)),
    release: (how) => then((now) => core.release(grant, how, now)),
    settle: (usage) => then((now) => core.settle(grant, usage, now)),
    [Symbol.dispose]: () =>
      then((now) => {
        core.release(grant, "aborted", now);
        core.settle(grant, null, now);
      }),
  };
}
