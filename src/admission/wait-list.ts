// A list in order of arrival whose members can leave from anywhere in O(1).

export interface ListNode<Item> {
  readonly item: Item;
  previous: ListNode<Item> | null;
  next: ListNode<Item> | null;
}

export class WaitList<Item> {
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

  /** Only for a node that is in this list. */
  remove(node: ListNode<Item>): void {
    if (node.previous) node.previous.next = node.next;
    else this.first = node.next;
    if (node.next) node.next.previous = node.previous;
    else this.last = node.previous;
    node.previous = null;
    node.next = null;
    this.size--;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (let node = this.first; node; node = node.next) yield node.item;
  }
}
