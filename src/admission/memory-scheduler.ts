// Decides who may start a call next, for one process: first come, first served. Owns the queue, its timers and
// the count of calls in flight; the arithmetic of the rate is in window-log.ts.

import type { Clock } from "../base/clock.ts";
import type { Principal } from "../base/principal.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import type { AdmissionLimits, AdmissionRequest, Scheduler, SchedulerSnapshot, Ticket } from "./scheduler.ts";
import { createWaitList } from "./wait-list.ts";
import { createWindowLog, toWindowLimits } from "./window-log.ts";

interface Waiter {
  readonly principal: Principal;
  readonly request: AdmissionRequest;
  readonly arrivedAt: number;
  /** From here on it is refused, not started. */
  readonly deadlineAt: number;
  /** Calls ahead of it when it arrived. */
  readonly position: number;
  readonly start: (ticket: Ticket) => void;
  readonly refuse: (refusal: Refusal) => void;
}

interface Running {
  readonly waiter: Waiter;
  readonly grantedAt: number;
  sentAt: number | null;
}

/** How much one call's time in flight moves the running mean that estimates are made of. */
const holdMeanShare = 0.2;
/** Spread added to Retry-After, so that refused clients do not come back in step. */
const retryJitterShare = 0.2;
/** Sooner, nothing will have changed, and a client would use up its few tries. */
const retryMsMin = 1_000;
/** Whoever waited in vain should not come back at once: two seconds is the product's published advice. */
const timedOutRetryMsMin = 2_000;

export function createMemoryScheduler(initial: AdmissionLimits, upstreamKey: string, clock: Clock): Scheduler {
  let limits = initial;
  const queue = createWaitList<Waiter>();
  const running = new Set<Running>();
  const window = createWindowLog(toWindowLimits(limits.startsPerSecond, limits.sendGuardMs));
  /** Calls that count in the upstream's concurrency: the running ones, and aborted ones that linger. */
  let inFlight = 0;
  /** Cancels the end of each lingering. */
  const lingering = new Set<() => void>();
  let holdUntil = Number.NEGATIVE_INFINITY;
  let meanHoldMs = 0;
  let isClosed = false;
  let cancelAlarm = () => {};

  async function admit(principal: Principal, request: AdmissionRequest, signal: AbortSignal): Promise<Ticket> {
    if (signal.aborted) throw refusalOf(signal);
    if (isClosed) throw new Refusal("shutting_down");
    const now = clock.now();
    const position = queue.size;
    if (position === 0 && findStartAt(now) <= now) {
      const waiter = { principal, request, arrivedAt: now, deadlineAt: now, position, start: ignore, refuse: ignore };
      return grant(waiter, now);
    }
    if (position >= limits.queueCapacity) {
      throw new Refusal("queue_full", {
        waiting: position,
        limit: limits.queueCapacity,
        retryAfterMs: adviseRetry(now),
      });
    }
    return wait(principal, request, signal, now);
  }

  function wait(principal: Principal, request: AdmissionRequest, signal: AbortSignal, now: number): Promise<Ticket> {
    const { promise, resolve, reject } = Promise.withResolvers<Ticket>();
    const timeoutMs = Math.min(limits.queueTimeoutMs, request.patienceMs ?? Number.POSITIVE_INFINITY);
    const node = queue.append({
      principal,
      request,
      arrivedAt: now,
      deadlineAt: now + timeoutMs,
      position: queue.size,
      start: resolve,
      refuse: reject,
    });
    const cancelTimeout = clock.after(timeoutMs, () => giveUp(() => timedOut(node.item, clock.now())));
    const leave = () => giveUp(() => refusalOf(signal));
    signal.addEventListener("abort", leave, { once: true });
    scheduleNext(now);

    // Leaving the queue and being refused are one step, so a waiter that gave up can never be handed a ticket.
    function giveUp(refuse: () => Refusal): void {
      if (queue.remove(node)) reject(refuse());
    }
    return promise.finally(() => {
      cancelTimeout();
      signal.removeEventListener("abort", leave);
    });
  }

  function timedOut({ arrivedAt, deadlineAt }: Waiter, now: number): Refusal {
    const retryAfterMs = Math.max(timedOutRetryMsMin, adviseRetry(now));
    const facts = { limit: deadlineAt - arrivedAt, elapsedMs: now - arrivedAt, retryAfterMs };
    return new Refusal("queue_timeout", facts);
  }

  /** When the head of the queue may start; Infinity while only a running call's progress can tell. */
  function findStartAt(now: number): number {
    if (inFlight >= (limits.concurrencyMax ?? Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
    return Math.max(window.freeAt(now), holdUntil);
  }

  function scheduleNext(now = clock.now()): void {
    cancelAlarm();
    while (queue.size > 0) {
      const startAt = findStartAt(now);
      if (startAt > now) {
        // A timer may fire a little early: then this runs again and arms the rest.
        if (startAt < Number.POSITIVE_INFINITY) cancelAlarm = clock.after(startAt - now, scheduleNext);
        return;
      }
      const waiter = queue.shift() as Waiter;
      // After a stall, timers fire late: who has waited too long is refused all the same.
      if (now < waiter.deadlineAt) waiter.start(grant(waiter, now));
      else waiter.refuse(timedOut(waiter, now));
    }
  }

  function grant(waiter: Waiter, now: number): Ticket {
    const run: Running = { waiter, grantedAt: now, sentAt: null };
    window.reserve();
    inFlight++;
    running.add(run);
    return {
      upstreamKey,
      queuePosition: waiter.position,
      waitedMs: now - waiter.arrivedAt,
      markSent() {
        if (run.sentAt !== null || !running.has(run)) return;
        run.sentAt = clock.now();
        window.stamp(run.sentAt);
        scheduleNext();
      },
      holdLane(holdMs) {
        holdUntil = Math.max(holdUntil, clock.now() + holdMs);
        scheduleNext();
      },
      release: (how) => release(run, how),
      [Symbol.dispose]: () => release(run, "aborted"),
    };
  }

  function release(run: Running, how: "ended" | "aborted"): void {
    if (!running.delete(run)) return;
    if (run.sentAt === null) window.refund();
    else meanHoldMs += (clock.now() - run.sentAt - meanHoldMs) * (meanHoldMs === 0 ? 1 : holdMeanShare);
    const mayLinger = how === "aborted" && run.sentAt !== null && limits.concurrencyMax !== null;
    if (!mayLinger || isClosed || limits.abortLingerMs === 0) {
      free();
      return;
    }
    const cancel = clock.after(limits.abortLingerMs, () => {
      lingering.delete(cancel);
      free();
    });
    lingering.add(cancel);
  }

  function free(): void {
    inFlight--;
    scheduleNext();
  }

  /** Expected wait of a call with `ahead` others before it: bound by the rate or by the calls in flight. */
  function estimateWaitMs(ahead: number, now: number): number {
    const { startsMax, windowMs } = toWindowLimits(limits.startsPerSecond, limits.sendGuardMs);
    const freeAt = window.freeAt(now);
    const untilOpenMs = Math.max(freeAt === Number.POSITIVE_INFINITY ? windowMs : freeAt - now, holdUntil - now, 0);
    const byRateMs = untilOpenMs + (ahead * windowMs) / startsMax;
    if (limits.concurrencyMax === null) return byRateMs;
    // What runs now may take longer than the mean: then it is the better guess.
    const [oldest] = running;
    const holdMs = Math.max(meanHoldMs, oldest ? now - oldest.grantedAt : 0);
    const bySlotMs = (Math.max(0, ahead + 1 + inFlight - limits.concurrencyMax) * holdMs) / limits.concurrencyMax;
    return Math.max(byRateMs, bySlotMs);
  }

  /** When a refused client should come back: late enough that half the queue timeout will do, spread by jitter. */
  function adviseRetry(now: number): number {
    const mayWaitMs = limits.queueCapacity > 0 ? limits.queueTimeoutMs / 2 : 0;
    const sensibleMs = Math.max(retryMsMin, estimateWaitMs(queue.size, now) - mayWaitMs);
    return Math.ceil(sensibleMs * (1 + retryJitterShare * clock.random()));
  }

  function snapshot(): SchedulerSnapshot {
    const now = clock.now();
    const startAt = findStartAt(now);
    let ahead = 0;
    return {
      limits,
      running: Array.from(running, ({ waiter, grantedAt, sentAt }) => ({
        callId: waiter.request.callId,
        userId: waiter.principal.userId,
        model: waiter.request.model,
        runningMs: now - grantedAt,
        isSent: sentAt !== null,
      })),
      waiting: Array.from(queue, ({ principal, request, arrivedAt }) => ({
        callId: request.callId,
        userId: principal.userId,
        model: request.model,
        etaMs: estimateWaitMs(ahead, now),
        position: ++ahead,
        waitedMs: now - arrivedAt,
      })),
      nextStartInMs: startAt === Number.POSITIVE_INFINITY ? null : Math.max(0, startAt - now),
    };
  }

  function configure(changed: AdmissionLimits): void {
    limits = changed;
    window.configure(toWindowLimits(limits.startsPerSecond, limits.sendGuardMs));
    scheduleNext();
  }

  function close(): void {
    isClosed = true;
    cancelAlarm();
    for (const cancel of lingering) cancel();
    for (let waiter = queue.shift(); waiter; waiter = queue.shift()) waiter.refuse(new Refusal("shutting_down"));
  }

  return { admit, snapshot, configure, close };
}

function ignore(): void {}
