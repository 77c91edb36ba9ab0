// Who has waited long enough. Calls that may wait equally long expire in the order of their arrival, so one list for
// each length of wait is in order by itself; lengths are few. Leaving is O(1), and O(log lengths) for a list's head.

import { Heap, type HeapItem } from "./heap.ts";
import { type ListNode, WaitList } from "./wait-list.ts";

interface Expiring {
  readonly deadlineAt: number;
}

class WaitGroup<Call extends Expiring> implements HeapItem {
  heapIndex = -1;
  headAt = Number.POSITIVE_INFINITY;
  readonly waitMs: number;
  readonly calls = new WaitList<Call>();

  constructor(waitMs: number) {
    this.waitMs = waitMs;
  }
}

export interface ExpirySlot<Call extends Expiring> {
  readonly group: WaitGroup<Call>;
  readonly node: ListNode<Call>;
}

export class Expiry<Call extends Expiring> {
  readonly #groups = new Map<number, WaitGroup<Call>>();
  readonly #byHead = new Heap<WaitGroup<Call>>((a, b) => a.headAt < b.headAt);

  get nextAt(): number {
    return this.#byHead.first?.headAt ?? Number.POSITIVE_INFINITY;
  }

  /** `waitMs` from now is its deadline; calls are added at times that never run back. */
  add(call: Call, waitMs: number): ExpirySlot<Call> {
    let group = this.#groups.get(waitMs);
    if (!group) {
      group = new WaitGroup<Call>(waitMs);
      this.#groups.set(waitMs, group);
      this.#byHead.push(group);
    }
    const node = group.calls.append(call);
    this.#refresh(group);
    return { group, node };
  }

  remove({ group, node }: ExpirySlot<Call>): void {
    group.calls.remove(node);
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
