// The fair order foreseen: how many calls go before one, and all that wait in the order of their starts, if every call
// costs the same and nobody else comes. Knows shares, and no time.

import { Heap } from "./heap.ts";
import type { Share } from "./share.ts";
import type { QueuedWaiter } from "./waiter.ts";

/** Turns closer than this to a whole number are a tie. */
const tie = 1e-6;
/** Of more siblings than that, each n-th is looked at and counted n times. */
const siblingsMax = 1_000;

/**
 * How many waiting calls start before one that has `before` others of its own session ahead of it, if every call costs
 * `costMs` and nobody else comes. Costs O(shares), bounded.
 */
export function countAhead(session: Share, before: number, costMs: number): number {
  let ahead = before;
  for (let share = session; share.parent; share = share.parent) {
    const startsAt = share.virtualTime + (ahead * costMs) / share.weight;
    const siblings = share.parent.waitingChildren;
    const stride = Math.ceil(siblings.length / siblingsMax);
    let ofOthers = 0;
    for (let index = 0; index < siblings.length; index += stride) {
      const other = siblings[index] as Share;
      if (other !== share && !other.isBarred) ofOthers += countTurns(other, share, startsAt, costMs);
    }
    ahead += ofOthers * stride;
  }
  return ahead;
}

/** How many calls of another share start before one of `share` that starts at the given virtual time. */
function countTurns(other: Share, share: Share, startsAt: number, costMs: number): number {
  const turns = ((startsAt - other.virtualTime) * other.weight) / costMs;
  if (turns < -tie) return 0;
  const whole = Math.ceil(turns - tie);
  if (whole >= other.waitingCount) return other.waitingCount;
  const isTie = whole - turns < tie;
  return isTie && other.waitsSince < share.waitsSince ? whole + 1 : whole;
}

interface Turn {
  heapIndex: number;
  virtualTime: number;
  readonly waitsSince: number;
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
    a.virtualTime === b.virtualTime ? a.waitsSince < b.waitsSince : a.virtualTime < b.virtualTime,
  );
  for (const child of share.waitingChildren) {
    const turn = toTurn(child, bySession);
    if (turn) children.push(turn);
  }
  if (calls.length === 0 && !children.first) return null;
  const { virtualTime, weight, waitsSince } = share;
  return { heapIndex: -1, virtualTime, waitsSince, weight, calls: calls.reverse(), children };
}

function take(turn: Turn, costMs: number): QueuedWaiter | undefined {
  const child = turn.children?.first;
  const call = child ? take(child, costMs) : turn.calls.pop();
  turn.virtualTime += costMs / turn.weight;
  if (child && turn.children) {
    if (child.calls.length === 0 && !child.children?.first) turn.children.remove(child);
    else turn.children.update(child);
  }
  return call;
}
