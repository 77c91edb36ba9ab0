// The lanes: calls that may have to wait apart from others, because their model has a limit or trouble of its own, and
// one for all the rest. What is ahead of a call in fair order, over all lanes.

import { Heap } from "./heap.ts";
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
    waiter.slot = lane.queue.add(waiter, waiter.session);
    this.size++;
  }

  remove(waiter: QueuedWaiter): void {
    const { lane, slot } = waiter;
    if (!lane || !slot) return;
    lane.queue.remove(slot);
    waiter.slot = null;
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

  /** A model has got a limit or trouble of its own: its calls go into a lane of their own. */
  separate(model: string): void {
    if (this.#apart.has(model)) return;
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

/** Virtual times closer than this are the same. */
const tieMs = 1e-6;

/**
 * How many waiting calls start before one that has `before` others of its own session ahead of it, if every call costs
 * `costMs` and nobody else comes. Costs O(shares).
 */
export function countAhead(session: Share, before: number, sequence: number, costMs: number): number {
  let ahead = before;
  for (let share = session; share.parent; share = share.parent) {
    const startsAt = share.virtualTime + (ahead * costMs) / share.weight;
    let ofOthers = 0;
    for (const other of share.parent.children.values()) {
      if (other === share || other.waitingCount === 0 || other.isBarred) continue;
      const turns = ((startsAt - other.virtualTime) * other.weight) / costMs;
      if (turns < -tieMs) continue;
      const whole = Math.round(turns);
      const isTie = Math.abs(turns - whole) < tieMs;
      const count = isTie ? whole + (sequenceOf(other, whole) < sequence ? 1 : 0) : Math.ceil(turns);
      ofOthers += Math.min(other.waitingCount, count);
    }
    ahead += ofOthers;
  }
  return ahead;
}

/** Walked at most so far: ties are common, and a long walk for each would be dear. */
const walkMax = 64;

/** Arrival of the share's call with `index` others before it; of its first one where that is not in one list. */
function sequenceOf(share: Share, index: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const position of share.positions) least = Math.min(least, position.headSequence);
  if (index === 0 || index > walkMax) return least;
  let session = share;
  while (session.children.size === 1) session = session.children.values().next().value as Share;
  const [position] = session.positions;
  return session.positions.length === 1 && position ? (position.sequenceAt(index) ?? least) : least;
}

interface Turn {
  heapIndex: number;
  virtualTime: number;
  sequence: number;
  weight: number;
  readonly calls: QueuedWaiter[];
  readonly children: Heap<Turn> | null;
}

/** All that wait, in the order in which they will start if each costs `costMs` and nobody else comes. */
export function foreseeOrder(waiters: Iterable<QueuedWaiter>, root: Share, costMs: number): QueuedWaiter[] {
  const bySession = new Map<Share, QueuedWaiter[]>();
  for (const waiter of waiters) {
    const calls = bySession.get(waiter.session);
    if (calls) calls.push(waiter);
    else bySession.set(waiter.session, [waiter]);
  }
  const top = toTurn(root, bySession);
  const order: QueuedWaiter[] = [];
  for (let call = top && take(top, costMs); call; call = take(top as Turn, costMs)) order.push(call);
  return order;
}

function toTurn(share: Share, bySession: ReadonlyMap<Share, QueuedWaiter[]>): Turn | null {
  const calls = (bySession.get(share) ?? []).sort((a, b) => a.sequence - b.sequence);
  const children = new Heap<Turn>((a, b) =>
    a.virtualTime === b.virtualTime ? a.sequence < b.sequence : a.virtualTime < b.virtualTime,
  );
  for (const child of share.children.values()) {
    const turn = child.waitingCount > 0 ? toTurn(child, bySession) : null;
    if (turn) children.push(turn);
  }
  const sequence = children.first?.sequence ?? calls[0]?.sequence;
  if (sequence === undefined) return null;
  const { virtualTime, weight } = share;
  return { heapIndex: -1, virtualTime, sequence, weight, calls: calls.reverse(), children };
}

function take(turn: Turn, costMs: number): QueuedWaiter | undefined {
  const child = turn.children?.first;
  const call = child ? take(child, costMs) : turn.calls.pop();
  turn.virtualTime += costMs / turn.weight;
  if (child && turn.children) {
    if (child.calls.length === 0 && !child.children?.first) turn.children.remove(child);
    else turn.children.update(child);
  }
  turn.sequence = turn.children?.first?.sequence ?? turn.calls.at(-1)?.sequence ?? Number.POSITIVE_INFINITY;
  return call;
}
