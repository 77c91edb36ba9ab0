// What is told of the queue: where a call stands, about how long it waits and why, when who was refused should come
// back, and the whole state for live views. Reads everything, changes nothing.

import type { LinkedList } from "../base/linked-list.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { Costs } from "./costs.ts";
import type { Destination } from "./destination.ts";
import { adviseRetryMs, type Estimator, type RetryFacts } from "./estimate.ts";
import { countAhead, foreseeOrder } from "./fair-order.ts";
import type { FairQueue } from "./fair-queue.ts";
import type { KeyPool } from "./key-pool.ts";
import type { LimitedUsers } from "./limited-users.ts";
import { describeUsers, listAllowances } from "./report.ts";
import type {
  AdmissionLimits,
  Blocker,
  SchedulerGauges,
  SchedulerSnapshot,
  Standing,
  WaitingCall,
} from "./scheduler.ts";
import type { QueuedWaiter, RunningGrant } from "./waiter.ts";

export interface ForecastParts {
  readonly queue: FairQueue;
  readonly pool: KeyPool;
  readonly costs: Costs;
  readonly users: LimitedUsers;
  readonly estimator: Estimator;
  readonly running: LinkedList<RunningGrant>;
  readonly random: () => number;
  limits(): AdmissionLimits;
}

export class Forecast {
  readonly #parts: ForecastParts;

  constructor(parts: ForecastParts) {
    this.#parts = parts;
  }

  standing(waiter: QueuedWaiter, now: number): Standing {
    const before = waiter.lane?.queue.countBefore(waiter) ?? 0;
    const ahead = countAhead(waiter.session, before, this.#parts.costs.typicalMs);
    return this.#toStanding(ahead + 1, this.#waitMs(waiter, ahead, before, now));
  }

  #waitMs({ call, to, tokens }: QueuedWaiter, ahead: number, ownAhead: number, now: number): number {
    const { estimator, users } = this.#parts;
    const waitMs = estimator.waitMs(to, tokens, ahead, now);
    const user = users.find(call.userId);
    return user ? Math.max(waitMs, estimator.userWaitMs(user.gates, call.model, ownAhead, now)) : waitMs;
  }

  #toStanding(position: number, etaMs: number): Standing {
    return { position, etaMs, etaP90Ms: this.#parts.estimator.toP90(etaMs) };
  }

  /** What keeps it from starting now. */
  findBlocker({ call, to, tokens }: QueuedWaiter, now: number): Blocker {
    const { users, pool } = this.#parts;
    const ofUser = users.find(call.userId)?.gates.findBlocker(now, tokens);
    if (ofUser) return `user_${ofUser}`;
    return pool.findBlocker(to, tokens, now) ?? "turn";
  }

  /** When a call should come back that was refused with `ahead` others before it, or after it has waited in vain. */
  adviseRetry(to: Destination, ahead: number, hasWaited: boolean, now: number): number {
    const { queue, estimator, limits } = this.#parts;
    const { queueCapacity, queueTimeoutMs } = limits();
    const beyond = queue.size - queueCapacity;
    return this.spreadRetry({
      waitMs: estimator.waitMs(to, 0, ahead, now),
      mayWaitMs: queueCapacity > 0 ? queueTimeoutMs : 0,
      placeMs: beyond >= 0 ? estimator.waitMs(to, 0, beyond, now) : 0,
      hasWaited,
    });
  }

  spreadRetry(facts: RetryFacts): number {
    return adviseRetryMs(facts, this.#parts.random());
  }

  allowances(userId: string, now: number): readonly RemainingLimit[] {
    const { pool, users } = this.#parts;
    return listAllowances(pool, users.gatesOf(userId), now);
  }

  gauges(now: number): SchedulerGauges {
    const { queue, pool, running, limits } = this.#parts;
    return {
      waiting: queue.size,
      running: running.size,
      queueCapacity: limits().queueCapacity,
      lanes: pool.lanes(now),
      users: describeUsers(queue.root),
    };
  }

  snapshot(now: number): SchedulerSnapshot {
    const { queue, pool, costs, running, limits } = this.#parts;
    const order = foreseeOrder(queue.waiters(), queue.root, costs.typicalMs);
    const nextStartAt = order.reduce(
      (least, { to, tokens }) => Math.min(least, pool.openAt(to, tokens, now)),
      order.length === 0 ? pool.anyOpenAt(now) : Number.POSITIVE_INFINITY,
    );
    return {
      ...this.gauges(now),
      limits: limits(),
      runningCalls: Array.from(running, ({ call, grantedAt, sentAt, upstreamKey }) => ({
        callId: call.callId,
        userId: call.userId,
        model: call.model,
        class: call.class,
        upstreamKey,
        runningMs: now - grantedAt,
        isSent: sentAt !== null,
      })),
      waitingCalls: this.#describeWaiting(order, now),
      nextStartInMs: nextStartAt === Number.POSITIVE_INFINITY ? null : Math.max(0, nextStartAt - now),
    };
  }

  #describeWaiting(order: readonly QueuedWaiter[], now: number): WaitingCall[] {
    const ownAhead = new Map<string, number>();
    return order.map((waiter, ahead) => {
      const { call, arrivedAt, tryCount } = waiter;
      const own = ownAhead.get(call.userId) ?? 0;
      ownAhead.set(call.userId, own + 1);
      return {
        callId: call.callId,
        userId: call.userId,
        model: call.model,
        class: call.class,
        waitedMs: now - arrivedAt,
        tryCount,
        blockedBy: this.findBlocker(waiter, now),
        ...this.#toStanding(ahead + 1, this.#waitMs(waiter, ahead, own, now)),
      };
    });
  }
}
