// Things that come and go all the time, in order, each taken out in O(1): calls that wait, calls that run, records that are
// not written yet. A Set or a Map would do as well, but for what V8's do to the collector: a table that is outgrown or tidied
// points to the one that takes its place, and one such table that has become old keeps all its successors, with every call
// that has ended since, from the fast collections of young objects (see docs/decisions/006-hot-path.md).

export interface ListNode<Item> {
  readonly item: Item;
  previous: ListNode<Item> | null;
  next: ListNode<Item> | null;
}

export class LinkedList<Item> implements Iterable<Item> {
  first: ListNode<Item> | null = null;
  last: ListNode<Item> | null = null;
  size = 0;

  append(item: Item): ListNode<Item> {
    return this.insertAfter(this.last, item);
  }

  /** Null: at the front. */
  insertAfter(previous: ListNode<Item> | null, item: Item): ListNode<Item> {
    const next = previous ? previous.next : this.first;
    const node: ListNode<Item> = { item, previous, next };
    if (previous) previous.next = node;
    else this.first = node;
    if (next) next.previous = node;
    else this.last = node;
    this.size++;
    return node;
  }

  /** Of a node of this list. False: it was taken out before. */
  remove(node: ListNode<Item>): boolean {
    const { previous, next } = node;
    if (previous === null && node !== this.first) return false;
    if (previous) previous.next = next;
    else this.first = next;
    if (next) next.previous = previous;
    else this.last = previous;
    // Or what has left would keep what came after it.
    node.previous = null;
    node.next = null;
    this.size--;
    return true;
  }

  /** While it goes on, only the item at hand may be taken out. */
  *[Symbol.iterator](): Generator<Item> {
    for (let node = this.first; node; ) {
      const { item, next } = node;
      yield item;
      node = next;
    }
  }
}
