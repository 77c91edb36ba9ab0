// The calls that wait in one lane, in fair order: for each level of shares a heap by virtual time, at the bottom a
// list in order of arrival. A user that calls in two lanes waits in both with the same share.
//
//   root ▷ class ▷ user ▷ session ▷ waiter, waiter, …          each ▷ is a heap: least virtual time, then arrival

import { LinkedList, type ListNode } from "../base/linked-list.ts";
import { Heap } from "./heap.ts";
import type { Share, SharePosition } from "./share.ts";

/** What the order is made of. */
export interface QueuedCall {
  /** A lower one came earlier. */
  readonly sequence: number;
  readonly deadlineAt: number;
  /** Not put out for others. */
  readonly wasAdmitted: boolean;
  /** Its place in the lane; owned by the queue, null outside it. */
  slot: ListNode<QueuedCall> | null;
  position: SharePosition | null;
}

/** Users looked at for the earliest deadline. */
const leadersMax = 8;

class Position<Call extends QueuedCall> implements SharePosition {
  heapIndex = -1;
  readonly share: Share;
  readonly lane: LaneQueue<Call>;
  readonly parent: Position<Call> | null;
  /** Children that have a call to start; null for a session. */
  readonly ready: Heap<Position<Call>> | null;
  /** Calls of a session; null above. */
  readonly calls: LinkedList<Call> | null;
  nextOfShare: SharePosition | null;
  #childCount = 0;
  /** Its next call waits for something that its lane does not: others go, and it keeps its turn. */
  isAside = false;
  /** Of the call that would be next; Infinity when there is none. */
  headDeadlineAt = Number.POSITIVE_INFINITY;

  constructor(share: Share, lane: LaneQueue<Call>, parent: Position<Call> | null, isSession: boolean) {
    this.share = share;
    this.lane = lane;
    this.parent = parent;
    this.ready = isSession ? null : new Heap<Position<Call>>(goesBefore);
    this.calls = isSession ? new LinkedList<Call>() : null;
    if (parent) parent.#childCount++;
    this.nextOfShare = share.firstPosition;
    share.firstPosition = this;
  }

  reorder(): void {
    this.parent?.ready?.update(this);
    // Another one may be its parent's next now.
    this.parent?.refresh();
  }

  newestEvictable(): Call | null {
    let node = this.calls?.last ?? null;
    // They are few, and stand before newer ones.
    while (node?.item.wasAdmitted) node = node.previous;
    return node?.item ?? null;
  }

  /** After any change below: takes the head anew, and its own place among its siblings. */
  refresh(): void {
    const next = this.ready?.first;
    const head = this.calls?.first?.item;
    const hasCalls = next !== undefined || head !== undefined;
    const deadlineAt = next?.headDeadlineAt ?? head?.deadlineAt ?? Number.POSITIVE_INFINITY;
    const isReady = hasCalls && !this.share.isBarred && !this.isAside;
    if (deadlineAt === this.headDeadlineAt && isReady === this.heapIndex >= 0) return;
    this.headDeadlineAt = deadlineAt;
    const siblings = this.parent?.ready;
    if (isReady && this.heapIndex < 0) siblings?.push(this);
    else if (!isReady) siblings?.remove(this);
    this.parent?.refresh();
  }

  /** Leaves the share when nothing waits here any more. */
  retire(): void {
    if (this.#childCount > 0 || (this.calls && this.calls.size > 0) || !this.parent) return;
    this.leaveShare();
    this.parent.ready?.remove(this);
    this.parent.#childCount--;
    this.parent.retire();
  }

  leaveShare(): void {
    const { share } = this;
    if (share.firstPosition === this) {
      share.firstPosition = this.nextOfShare;
      return;
    }
    let before = share.firstPosition;
    while (before && before.nextOfShare !== this) before = before.nextOfShare;
    if (before) before.nextOfShare = this.nextOfShare;
  }
}

function goesBefore(a: { share: Share }, b: { share: Share }): boolean {
  return a.share.isBefore(b.share);
}

export class LaneQueue<Call extends QueuedCall> {
  size = 0;
  readonly #root: Position<Call>;

  constructor(root: Share) {
    this.#root = new Position<Call>(root, this, null, false);
  }

  add(call: Call, session: Share): void {
    const position = this.#positionOf(session, true);
    const calls = position.calls as LinkedList<Call>;
    let previous = calls.last;
    while (previous && call.sequence < previous.item.sequence) previous = previous.previous;
    call.slot = calls.insertAfter(previous, call);
    call.position = position;
    this.size++;
    position.refresh();
  }

  remove(call: Call): void {
    const position = call.position as Position<Call>;
    position.calls?.remove(call.slot as ListNode<Call>);
    call.slot = null;
    call.position = null;
    this.size--;
    position.refresh();
    position.retire();
  }

  /** The share was barred, or may wait its turn again. */
  refresh(share: Share): void {
    this.#find(share)?.refresh();
  }

  /** Takes the call's session out of the order, or puts it back. */
  setAside({ position }: Call, isAside: boolean): void {
    if (!position) return;
    (position as Position<Call>).isAside = isAside;
    (position as Position<Call>).refresh();
  }

  /**
   * Who is next: the least virtual time of class, of user, of session. Before it goes a user within `windowMs` of the
   * least whose call would be too late after so much time; of several, the earliest deadline. Null when nobody may start.
   */
  next(windowMs: number, now: number): Next<Call> | null {
    const byClass = this.#root.ready?.first;
    if (!byClass) return null;
    const users = byClass.ready as Heap<Position<Call>>;
    const byUser = pickUser(users, windowMs, now);
    const bySession = byUser.ready?.first as Position<Call>;
    return {
      call: bySession.calls?.first?.item as Call,
      order: [byClass.share, byUser.share, bySession.share],
      leastOfUsers: (users.first as Position<Call>).share.virtualTime,
    };
  }

  *calls(): Generator<Call> {
    yield* this.#walk(this.#root.share);
  }

  *#walk(share: Share): Generator<Call> {
    const calls = this.#find(share)?.calls;
    if (calls) yield* calls;
    for (const child of [...share.waitingChildren]) yield* this.#walk(child);
  }

  /** Nothing waits in it any more and nothing will. */
  close(): void {
    this.#root.leaveShare();
  }

  /** Calls of one session that are before the given one. */
  countBefore({ slot }: Call): number {
    let count = 0;
    for (let before = slot?.previous; before; before = before.previous) count++;
    return count;
  }

  #positionOf(share: Share, isSession: boolean): Position<Call> {
    const known = this.#find(share);
    if (known) return known;
    return new Position<Call>(share, this, this.#positionOf(share.parent as Share, false), isSession);
  }

  #find(share: Share): Position<Call> | null {
    let position = share.firstPosition as Position<Call> | null;
    while (position && position.lane !== this) position = position.nextOfShare as Position<Call> | null;
    return position;
  }
}

export interface Next<Call> {
  readonly call: Call;
  /** Class, user, session. */
  readonly order: readonly [Share, Share, Share];
  /** Virtual time of the user that has had the least, when the next call was taken. */
  readonly leastOfUsers: number;
}

/** Whether one lane's next call goes before another's, by the same rules as within a lane. */
export function isBefore<Call extends QueuedCall>(a: Next<Call>, b: Next<Call>): boolean {
  for (let level = 0; level < 3; level++) {
    const [aShare, bShare] = [a.order[level] as Share, b.order[level] as Share];
    if (aShare !== bShare) return aShare.isBefore(bShare);
  }
  return a.call.sequence < b.call.sequence;
}

function pickUser<Call extends QueuedCall>(
  { items }: Heap<Position<Call>>,
  windowMs: number,
  now: number,
): Position<Call> {
  const least = items[0] as Position<Call>;
  if (windowMs <= 0) return least;
  let best = least;
  let earliestAt = Math.min(least.headDeadlineAt, now + windowMs);
  const latest = least.share.virtualTime + windowMs;
  // The users within the window are a tree at the heap's top: an item outside has none inside below it.
  const leaders = [0];
  for (let taken = 0; taken < leaders.length && taken < leadersMax; taken++) {
    const index = leaders[taken] as number;
    const candidate = items[index] as Position<Call>;
    if (candidate.headDeadlineAt < earliestAt) {
      best = candidate;
      earliestAt = candidate.headDeadlineAt;
    }
    for (const child of [2 * index + 1, 2 * index + 2]) {
      const item = items[child];
      if (item && item.share.virtualTime <= latest) leaders.push(child);
    }
  }
  return best;
}
