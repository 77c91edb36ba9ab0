// A first-come-first-served list whose members can leave from anywhere in O(1).

export interface ListNode<Item> {
  readonly item: Item;
  previous: ListNode<Item> | null;
  next: ListNode<Item> | null;
  isListed: boolean;
}

export interface WaitList<Item> extends Iterable<Item> {
  readonly size: number;
  append(item: Item): ListNode<Item>;
  /** False when it had left already. */
  remove(node: ListNode<Item>): boolean;
  shift(): Item | undefined;
}

export function createWaitList<Item>(): WaitList<Item> {
  let first: ListNode<Item> | null = null;
  let last: ListNode<Item> | null = null;
  let size = 0;

  function remove(node: ListNode<Item>): boolean {
    if (!node.isListed) return false;
    node.isListed = false;
    if (node.previous) node.previous.next = node.next;
    else first = node.next;
    if (node.next) node.next.previous = node.previous;
    else last = node.previous;
    node.previous = null;
    node.next = null;
    size--;
    return true;
  }

  return {
    get size() {
      return size;
    },
    append(item) {
      const node: ListNode<Item> = { item, previous: last, next: null, isListed: true };
      if (last) last.next = node;
      else first = node;
      last = node;
      size++;
      return node;
    },
    remove,
    shift() {
      const node = first;
      if (node) remove(node);
      return node?.item;
    },
    *[Symbol.iterator]() {
      for (let node = first; node; node = node.next) yield node.item;
    },
  };
}
