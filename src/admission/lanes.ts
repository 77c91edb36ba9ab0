// The lanes: calls that may have to wait apart from others, because their model has a limit or trouble of its own, or
// because not every key will do for them; and one for all the rest.

import { nameRestriction } from "./destination.ts";
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
  /** Those that are next but lack tokens, and when the first of them has them. */
  #aside: QueuedWaiter[] = [];
  #asideUntil = Number.POSITIVE_INFINITY;

  constructor(pool: KeyPool, root: Share) {
    this.#pool = pool;
    this.#root = root;
    this.#shared = { name: null, queue: new LaneQueue(root) };
  }

  add(waiter: QueuedWaiter): void {
    const lane = this.#laneOf(waiter);
    waiter.lane = lane;
    lane.queue.add(waiter, waiter.session);
    this.size++;
  }

  remove(waiter: QueuedWaiter): void {
    const { lane } = waiter;
    if (!lane || !waiter.isWaiting) return;
    lane.queue.remove(waiter);
    this.size--;
    if (lane.name !== null && lane.queue.size === 0) this.#close(lane as Lane & { name: string });
  }

  /** Who is next among all that may start now by their lane's gates, and when another lane opens or one has its tokens. */
  next(windowMs: number, now: number): { next: Next<QueuedWaiter> | null; opensAt: number } {
    let best = this.#candidate(this.#shared, windowMs, now);
    let opensAt = this.#opensAt;
    for (const lane of this.#apart.values()) {
      const candidate = this.#candidate(lane, windowMs, now);
      opensAt = Math.min(opensAt, this.#opensAt);
      if (candidate && (!best || isBefore(candidate, best))) best = candidate;
    }
    return { next: best, opensAt: Math.min(opensAt, this.#asideUntil) };
  }

  /** When the lane that was looked at last opens. */
  #opensAt = Number.POSITIVE_INFINITY;

  #candidate(lane: Lane, windowMs: number, now: number): Next<QueuedWaiter> | null {
    this.#opensAt = Number.POSITIVE_INFINITY;
    while (lane.queue.size > 0) {
      const next = lane.queue.next(windowMs, now);
      if (!next) return null;
      const { to, tokens } = next.call;
      const at = this.#pool.laneOpenAt(to, tokens, now);
      if (at <= now) return next;
      if (!this.#pool.keepModel(to, tokens, now)) {
        this.#opensAt = at;
        return null;
      }
      this.#setAside(next.call, at);
    }
    return null;
  }

  /** One that is next lacks a key's tokens: that key is kept for it, and until `putBack` others may use the rest. */
  setAside(waiter: QueuedWaiter, now: number): void {
    const { to, tokens } = waiter;
    const at = this.#pool.openAt(to, tokens, now);
    this.#pool.keepKey(to, tokens, now);
    this.#setAside(waiter, at);
  }

  #setAside(waiter: QueuedWaiter, until: number): void {
    waiter.lane?.queue.setAside(waiter, true);
    this.#aside.push(waiter);
    this.#asideUntil = Math.min(this.#asideUntil, until);
  }

  /** Whoever was set aside is next again, and nothing is kept. */
  putBack(): void {
    if (this.#aside.length === 0) return;
    for (const waiter of this.#aside) waiter.lane?.queue.setAside(waiter, false);
    this.#aside = [];
    this.#asideUntil = Number.POSITIVE_INFINITY;
    this.#pool.keepNothing();
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

  #laneOf({ to }: QueuedWaiter): Lane {
    const { model } = to;
    const restriction = this.#pool.hasChoice ? nameRestriction(to) : null;
    const name = restriction === null ? model : `${model} ${restriction}`;
    let lane = this.#apart.get(name);
    if (lane) return lane;
    if (restriction === null && !this.#pool.isApart(model)) return this.#shared;
    lane = { name, queue: new LaneQueue(this.#root) };
    this.#apart.set(name, lane);
    return lane;
  }

  #close({ name, queue }: Lane & { name: string }): void {
    queue.close();
    this.#apart.delete(name);
  }
}
