// The lanes: calls that may have to wait apart from others, because their model has a limit or trouble of its own, and
// one for all the rest.

import type { KeyPool } from "./key-pool.ts";
import { isBefore, LaneQueue, type Next } from "./lane-queue.ts";
import type { Share } from "./share.ts";
import type { Lane, QueuedWaiter } from "./waiter.ts";

export class Lanes {
  readonly #pool: KeyPool;
  readonly #root: Share;
  readonly #shared: Lane;
  readonly #apart = new Map<string, Lane>();
  size = 0;

  constructor(pool: KeyPool, root: Share) {
    this.#pool = pool;
    this.#root = root;
    this.#shared = { model: null, queue: new LaneQueue(root) };
  }

  add(waiter: QueuedWaiter): void {
    const lane = this.#laneOf(waiter.call.model);
    waiter.lane = lane;
    lane.queue.add(waiter, waiter.session);
    this.size++;
  }

  remove(waiter: QueuedWaiter): void {
    const { lane } = waiter;
    if (!lane || !waiter.isWaiting) return;
    lane.queue.remove(waiter);
    this.size--;
    if (lane.model !== null && lane.queue.size === 0) this.#close(lane as Lane & { model: string });
  }

  /** Who is next among all that may start now by their lane's gates, and when another lane opens. */
  next(windowMs: number, now: number): { next: Next<QueuedWaiter> | null; opensAt: number } {
    let best = this.#candidate(this.#shared, windowMs, now);
    let opensAt = this.#opensAt;
    for (const lane of this.#apart.values()) {
      const candidate = this.#candidate(lane, windowMs, now);
      opensAt = Math.min(opensAt, this.#opensAt);
      if (candidate && (!best || isBefore(candidate, best))) best = candidate;
    }
    return { next: best, opensAt };
  }

  /** When the lane that was looked at last opens. */
  #opensAt = Number.POSITIVE_INFINITY;

  #candidate(lane: Lane, windowMs: number, now: number): Next<QueuedWaiter> | null {
    this.#opensAt = Number.POSITIVE_INFINITY;
    const next = lane.queue.size > 0 ? lane.queue.next(windowMs) : null;
    if (!next) return null;
    const at = this.#pool.laneOpenAt(next.call.call.model, next.call.tokens, now);
    if (at <= now) return next;
    this.#opensAt = at;
    return null;
  }

  /** A share was barred, or may wait its turn again. */
  refresh(share: Share): void {
    this.#shared.queue.refresh(share);
    for (const lane of this.#apart.values()) lane.queue.refresh(share);
  }

  /** A model may have got a limit or trouble of its own: its calls go into a lane of their own then. */
  separate(model: string): void {
    if (this.#apart.has(model) || !this.#pool.isApart(model)) return;
    const moving = [...this.waiters()].filter(({ call, lane }) => call.model === model && lane === this.#shared);
    for (const waiter of moving) this.remove(waiter);
    for (const waiter of moving) this.add(waiter);
  }

  /** Everybody anew: limits have changed. */
  rearrange(): void {
    const moving = [...this.waiters()];
    for (const waiter of moving) this.remove(waiter);
    for (const waiter of moving) this.add(waiter);
  }

  *waiters(): Generator<QueuedWaiter> {
    yield* this.#shared.queue.calls();
    for (const lane of this.#apart.values()) yield* lane.queue.calls();
  }

  #laneOf(model: string): Lane {
    let lane = this.#apart.get(model);
    if (lane) return lane;
    if (!this.#pool.isApart(model)) return this.#shared;
    lane = { model, queue: new LaneQueue(this.#root) };
    this.#apart.set(model, lane);
    return lane;
  }

  #close({ model, queue }: Lane & { model: string }): void {
    queue.close();
    this.#apart.delete(model);
  }
}
