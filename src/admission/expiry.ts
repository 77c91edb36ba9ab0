// Who has waited long enough. Calls that may wait equally long expire in the order of their arrival, so one list for
// each length of wait is in order by itself; lengths are few. Leaving is O(1), and O(log lengths) for a list's head.

import { LinkedList, type ListNode } from "../base/linked-list.ts";
import { Heap, type HeapItem } from "./heap.ts";

interface Expiring {
  readonly deadlineAt: number;
  /** Its place here; owned by the expiry, null outside it. */
  expiry: ListNode<Expiring> | null;
  expiryGroup: object | null;
}

class WaitGroup<Call extends Expiring> implements HeapItem {
  heapIndex = -1;
  headAt = Number.POSITIVE_INFINITY;
  readonly waitMs: number;
  readonly calls = new LinkedList<Call>();

  constructor(waitMs: number) {
    this.waitMs = waitMs;
  }
}

export class Expiry<Call extends Expiring> {
  readonly #groups = new Map<number, WaitGroup<Call>>();
  readonly #byHead = new Heap<WaitGroup<Call>>((a, b) => a.headAt < b.headAt);

  get nextAt(): number {
    return this.#byHead.first?.headAt ?? Number.POSITIVE_INFINITY;
  }

  /** `waitMs` from now is its deadline; calls are added at times that never run back. */
  add(call: Call, waitMs: number): void {
    let group = this.#groups.get(waitMs);
    if (!group) {
      group = new WaitGroup<Call>(waitMs);
      this.#groups.set(waitMs, group);
      this.#byHead.push(group);
    }
    call.expiry = group.calls.append(call);
    call.expiryGroup = group;
    this.#refresh(group);
  }

  /** Harmless for a call that is not in it. */
  remove(call: Call): void {
    const group = call.expiryGroup as WaitGroup<Call> | null;
    if (!group) return;
    group.calls.remove(call.expiry as ListNode<Call>);
    call.expiry = null;
    call.expiryGroup = null;
    this.#refresh(group);
  }

  /** The first whose deadline has come, or null. Stays in until it is removed. */
  due(now: number): Call | null {
    const first = this.#byHead.first;
    return first && first.headAt <= now ? (first.calls.first?.item ?? null) : null;
  }

  /** The `max` calls that are nearest to their deadline, in its order. */
  nearest(max: number): Call[] {
    const calls: Call[] = [];
    for (const group of this.#groups.values()) {
      let count = 0;
      for (let node = group.calls.first; node && count < max; node = node.next, count++) calls.push(node.item);
    }
    if (this.#groups.size > 1) calls.sort((a, b) => a.deadlineAt - b.deadlineAt);
    return calls.slice(0, max);
  }

  #refresh(group: WaitGroup<Call>): void {
    const head = group.calls.first;
    if (!head) {
      this.#groups.delete(group.waitMs);
      this.#byHead.remove(group);
      return;
    }
    if (head.item.deadlineAt === group.headAt) return;
    group.headAt = head.item.deadlineAt;
    this.#byHead.update(group);
  }
}
