// Who waits, with everything that says in which order and for how long: shares, lanes, backlogs and deadlines, kept in
// step with each other. Decides nothing about whether anybody may start.

import { trafficClasses } from "../base/principal.ts";
import { Backlogs } from "./backlogs.ts";
import type { OfferedCall } from "./core.ts";
import { Expiry } from "./expiry.ts";
import type { KeyPool } from "./key-pool.ts";
import type { Next } from "./lane-queue.ts";
import { Lanes } from "./lanes.ts";
import { Share } from "./share.ts";
import type { QueuedWaiter } from "./waiter.ts";

/** Shares of the classes. */
const classWeights = { interactive: 16, default: 4, batch: 1 };
/** Idle shares that still owe something are looked through so often, and forgiven after a while. */
const sweepIntervalMs = 60_000;
const sweepsUntilForgiven = 10;

export class FairQueue {
  readonly root = new Share("", 1, null);
  readonly #lanes: Lanes;
  readonly #backlogs = new Backlogs();
  readonly #expiry = new Expiry<QueuedWaiter>();
  #sweptAt = 0;
  #sweepCount = 0;

  constructor(pool: KeyPool) {
    this.#lanes = new Lanes(pool, this.root);
  }

  get size(): number {
    return this.#lanes.size;
  }

  waiters(): Iterable<QueuedWaiter> {
    return this.#lanes.waiters();
  }

  /** The share of the call's session, made when it is the first of its kind. `isBarred`: its user may start nothing. */
  shareOf({ class: name, userId, weight, flowId }: OfferedCall, isBarred: boolean): Share {
    const user = this.root.child(name, classWeights[name]).child(userId, weight);
    user.isBarred = isBarred;
    return user.child(flowId, 1);
  }

  add(waiter: QueuedWaiter, mayWaitMs: number): void {
    // Counted first: the order needs to know since when the share waits.
    this.#count(waiter, 1);
    this.#lanes.add(waiter);
    this.#expiry.add(waiter, mayWaitMs);
  }

  remove(waiter: QueuedWaiter): void {
    this.#lanes.remove(waiter);
    this.#expiry.remove(waiter);
    this.#count(waiter, -1);
  }

  #count(waiter: QueuedWaiter, change: 1 | -1): void {
    waiter.session.countWaiting(change);
    this.#backlogs.update(waiter, change);
  }

  /** Who is next among those that their lane lets start now, and when another lane opens. */
  next(windowMs: number, now: number): { next: Next<QueuedWaiter> | null; opensAt: number } {
    return this.#lanes.next(windowMs, now);
  }

  /** One that is next lacks tokens: until `putBack`, a key is kept for it and others are next for the rest. */
  setAside(waiter: QueuedWaiter, now: number): void {
    this.#lanes.setAside(waiter, now);
  }

  /** Whoever was set aside is next again. */
  putBack(): void {
    this.#lanes.putBack();
  }

  /** When the first deadline comes. */
  get expiresAt(): number {
    return this.#expiry.nextAt;
  }

  /** One whose deadline has come, or null. Stays in until it is removed. */
  expired(now: number): QueuedWaiter | null {
    return this.#expiry.due(now);
  }

  /** Those nearest to their deadline, in its order. */
  mostUrgent(max: number): QueuedWaiter[] {
    return this.#expiry.nearest(max);
  }

  /** Whose call must go for the newcomer, which is in the queue already; null: nobody else's. */
  findVictim(newcomer: QueuedWaiter): QueuedWaiter | null {
    return this.#backlogs.findVictim(newcomer);
  }

  countOf(userId: string): number {
    return this.#sharesOf(userId).reduce((sum, { waitingCount }) => sum + waitingCount, 0);
  }

  /** Takes a user's calls out of every order, or puts them back. */
  setBarred(userId: string, isBarred: boolean): void {
    for (const share of this.#sharesOf(userId)) {
      share.isBarred = isBarred;
      this.#lanes.refresh(share);
    }
  }

  #sharesOf(userId: string): Share[] {
    return trafficClasses.flatMap((name) => this.root.find(name)?.find(userId) ?? []);
  }

  /** A model has got a limit or trouble of its own. */
  separate(model: string): void {
    this.#lanes.separate(model);
  }

  /** Limits have changed. */
  rearrange(): void {
    this.#lanes.rearrange();
  }

  /** Forgets who is idle and owes nothing. True: it was time to. */
  sweep(now: number): boolean {
    if (now - this.#sweptAt < sweepIntervalMs) return false;
    this.#sweptAt = now;
    this.#sweepCount++;
    this.root.sweep(this.#sweepCount % sweepsUntilForgiven === 0);
    return true;
  }
}
