// Who has had how much: the virtual times of start-time fair queueing (Goyal 1997) on three levels, each an equal
// among its siblings by weight: class, user in its class, the user's tools and sessions.
//
//   root ─┬─ interactive (16) ─┬─ ada (weight 1) ─┬─ session a
//         │                    │                  └─ session b
//         ├─ default (4) ─ …   └─ bob (weight 2) ─ …
//         └─ batch (1) ─ …
//
// Virtual time is service in lane-milliseconds divided by weight. Whoever has had the least goes first. A share of which
// nothing waits starts at the present (`now` of its parent): idling earns nothing.

import type { HeapItem } from "./heap.ts";

/** Where a share's calls wait, in one lane; see lane-queue.ts. */
export interface SharePosition extends HeapItem {
  nextOfShare: SharePosition | null;
  /** The share's virtual time has changed. */
  reorder(): void;
  /** The last call of a session in this lane that may be put out for others; null above sessions. */
  newestEvictable(): object | null;
}

/** A user's calls that wait, ordered among all users' by length. */
export interface Backlog extends HeapItem {
  readonly share: Share;
  /** Calls that may be put out for others. */
  evictableCount: number;
}

/** How far ahead of the present a share can get, so that one long stream does not shut its user out for an hour. */
export const debtMsMax = 60_000;
const gapMeanShare = 0.3;
/** Beyond it, adding a millisecond to a double would soon lose precision. */
const virtualTimeMax = 2 ** 50;

export class Share {
  readonly key: string;
  readonly parent: Share | null;
  weight: number;
  /** Virtual time at which its next call starts. */
  virtualTime = 0;
  /** The present among its children: monotone, the start of the one that was served last. */
  now = 0;
  /** Calls below it that wait, run, or are not settled. */
  busyCount = 0;
  waitingCount = 0;
  /** Order in which siblings began to wait: among those that have had the same, the first goes first. */
  waitsSince = 0;
  runningCount = 0;
  /** Its calls wait for a limit of its own: it is not in any lane's order until then. */
  isBarred = false;
  /** Moving mean of the time from one start to the next while calls waited; 0: not known. */
  startGapMs = 0;
  #startedAt = Number.NEGATIVE_INFINITY;
  #startedAtOnce = true;
  /** Lane-milliseconds that were served, corrected as they become known. */
  servedMs = 0;
  /** Of whom something waits, in no order. */
  readonly waitingChildren: Share[] = [];
  #waitingIndex = -1;
  /** Children that have begun to wait so far. */
  #beginnings = 0;
  /** Only of users. */
  backlog: Backlog | null = null;
  /** One for each lane in which its calls wait, linked by `nextOfShare`. */
  firstPosition: SharePosition | null = null;
  /** What the bound on debt has cut off, still to be set off against refunds. */
  #forgiven = 0;
  /** Made with the first child: most shares are sessions. */
  #children: Map<string, Share> | null = null;

  constructor(key: string, weight: number, parent: Share | null) {
    this.key = key;
    this.weight = weight;
    this.parent = parent;
    if (parent) this.virtualTime = parent.now;
  }

  child(key: string, weight: number): Share {
    this.#children ??= new Map();
    let child = this.#children.get(key);
    if (!child) {
      child = new Share(key, weight, this);
      this.#children.set(key, child);
    }
    child.weight = weight;
    return child;
  }

  find(key: string): Share | undefined {
    return this.#children?.get(key);
  }

  get children(): Iterable<Share> {
    return this.#children?.values() ?? [];
  }

  /** Among siblings that have calls waiting: who has had less, else who began to wait first. */
  isBefore(other: Share): boolean {
    if (this.virtualTime !== other.virtualTime) return this.virtualTime < other.virtualTime;
    return this.waitsSince < other.waitsSince;
  }

  /** A call came. Where none waited, the present is where it begins: what was not asked for is not owed. */
  enter(): void {
    for (let share: Share = this; share.parent; share = share.parent) {
      share.busyCount++;
      if (share.waitingCount > 0 || share.virtualTime >= share.parent.now) continue;
      share.#moveTo(share.parent.now);
      share.#forgiven = 0;
    }
  }

  /** A call is done with. Whoever is idle and owes nothing is forgotten. */
  leave(): void {
    for (let share: Share = this; share.parent; share = share.parent) {
      share.busyCount--;
      if (share.isForgettable) share.parent.#forget(share);
    }
  }

  /** Classes stay: their present is that of all their users. */
  get isForgettable(): boolean {
    const { parent } = this;
    if (!parent?.parent || this.busyCount > 0 || (this.#children?.size ?? 0) > 0) return false;
    return this.virtualTime <= parent.now;
  }

  /** Forgets idle descendants that owe nothing any more, or anything when `forgivesAll`. */
  sweep(forgivesAll: boolean): void {
    for (const child of this.children) {
      child.sweep(forgivesAll);
      const isForgiven = forgivesAll && child.busyCount === 0 && this.parent !== null;
      if (isForgiven || child.isForgettable) this.#forget(child);
    }
  }

  #forget(child: Share): void {
    this.#children?.delete(child.key);
  }

  countWaiting(change: 1 | -1): void {
    for (let share: Share | null = this; share; share = share.parent) {
      share.waitingCount += change;
      if (share.parent && share.waitingCount === (change === 1 ? 1 : 0)) share.parent.#list(share);
    }
  }

  /** Keeps the children of whom something waits together: the last one fills the gap. */
  #list(child: Share): void {
    const { waitingChildren } = this;
    if (child.waitingCount > 0) {
      child.waitsSince = ++this.#beginnings;
      child.#waitingIndex = waitingChildren.length;
      waitingChildren.push(child);
      return;
    }
    const last = waitingChildren.pop() as Share;
    if (last !== child) {
      waitingChildren[child.#waitingIndex] = last;
      last.#waitingIndex = child.#waitingIndex;
    }
    child.#waitingIndex = -1;
  }

  countRunning(change: 1 | -1): void {
    for (let share: Share | null = this; share; share = share.parent) share.runningCount += change;
  }

  /**
   * One of its calls starts now: the present moves on to its start, then it pays the estimate. Where it was let go
   * before a user who has had less (`leastOfUsers`), the present stays with that user, or being let go first would
   * make newcomers start later each time.
   */
  charge(costMs: number, leastOfUsers: number): void {
    for (let share: Share = this; share.parent; share = share.parent) {
      const { parent } = share;
      const isUser = parent.parent !== null && parent.parent.parent === null;
      parent.now = Math.max(parent.now, isUser ? Math.min(share.virtualTime, leastOfUsers) : share.virtualTime);
      share.#pay(costMs);
      if (parent.now > virtualTimeMax) parent.#rebase();
    }
  }

  /** A call that came at `arrivedAt` starts. */
  noteStart(arrivedAt: number, now: number): void {
    const sinceAt = Math.max(this.#startedAt, arrivedAt);
    // Behind a burst nothing starts until its places are free again: that is not the pace of what follows.
    const isBehindBurst = this.#startedAtOnce && sinceAt === this.#startedAt;
    this.#startedAt = now;
    this.#startedAtOnce = now <= arrivedAt;
    if (isBehindBurst || (now <= sinceAt && this.waitingCount === 0)) return;
    const gapMs = now - sinceAt;
    this.startGapMs += (gapMs - this.startGapMs) * (this.startGapMs === 0 ? 1 : gapMeanShare);
  }

  /** The call's cost turned out to be more, or less, than what was charged. */
  correct(costMs: number): void {
    for (let share: Share = this; share.parent; share = share.parent) share.#pay(costMs);
  }

  #pay(costMs: number): void {
    const { parent, weight } = this;
    this.servedMs = Math.max(0, this.servedMs + costMs);
    let step = costMs / weight;
    if (step < 0) {
      const setOff = Math.min(-step, this.#forgiven);
      this.#forgiven -= setOff;
      step += setOff;
    }
    const wanted = this.virtualTime + step;
    const allowed = Math.max(this.virtualTime, (parent as Share).now + debtMsMax / weight);
    const reached = Math.max(0, Math.min(wanted, allowed));
    this.#forgiven += Math.max(0, wanted - allowed);
    this.#moveTo(reached);
  }

  #moveTo(virtualTime: number): void {
    if (virtualTime === this.virtualTime) return;
    this.virtualTime = virtualTime;
    for (let position = this.firstPosition; position; position = position.nextOfShare) position.reorder();
  }

  /** Differences alone mean something. The order of all that are busy stays, so no heap has to know. */
  #rebase(): void {
    let origin = this.now;
    for (const child of this.children) if (child.busyCount > 0) origin = Math.min(origin, child.virtualTime);
    for (const child of this.children) child.virtualTime = Math.max(0, child.virtualTime - origin);
    this.now -= origin;
  }
}
