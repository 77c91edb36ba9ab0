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

/** Turns closer than this to a whole number are a tie. */
const tie = 1e-6;
/** Calls walked past for who comes first in ties; beyond it, the first of a share's calls stands for all. */
const walkMax = 256;
/** Of more siblings than that, each n-th is looked at and counted n times. */
const siblingsMax = 1_000;

/**
 * How many waiting calls start before one that has `before` others of its own session ahead of it, if every call costs
 * `costMs` and nobody else comes. Costs O(shares), bounded.
 */
export function countAhead(session: Share, before: number, sequence: number, costMs: number): number {
  let ahead = before;
  const walk = { left: walkMax };
  for (let share = session; share.parent; share = share.parent) {
    const startsAt = share.virtualTime + (ahead * costMs) / share.weight;
    const siblings = share.parent.waitingChildren;
    const stride = Math.ceil(siblings.length / siblingsMax);
    let ofOthers = 0;
    for (let index = 0; index < siblings.length; index += stride) {
      const other = siblings[index] as Share;
      if (other === share || other.isBarred) continue;
      ofOthers += countTurns(other, (startsAt - other.virtualTime) * other.weight, costMs, sequence, walk);
    }
    ahead += ofOthers * stride;
  }
  return ahead;
}

/** How many of a share's calls start while it has `leadMs` of service to go, those that start at the very end included if they came earlier. */
function countTurns(share: Share, leadMs: number, costMs: number, sequence: number, walk: { left: number }): number {
  const turns = leadMs / costMs;
  if (turns < -tie) return 0;
  const whole = Math.ceil(turns - tie);
  if (whole >= share.waitingCount) return share.waitingCount;
  const isTie = whole - turns < tie;
  return isTie && sequenceOf(share, whole, walk) < sequence ? whole + 1 : whole;
}

/** Arrival of the share's call with `index` others before it; of its first one where that is not in one list. */
function sequenceOf(share: Share, index: number, walk: { left: number }): number {
  let least = Number.POSITIVE_INFINITY;
  for (let position = share.firstPosition; position; position = position.nextOfShare) {
    least = Math.min(least, position.headSequence);
  }
  if (index === 0 || index > walk.left) return least;
  walk.left -= index;
  let session = share;
  while (session.waitingChildren.length === 1) session = session.waitingChildren[0] as Share;
  const { firstPosition } = session;
  return firstPosition && !firstPosition.nextOfShare ? (firstPosition.sequenceAt(index) ?? least) : least;
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
  for (const child of share.waitingChildren) {
    const turn = toTurn(child, bySession);
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
