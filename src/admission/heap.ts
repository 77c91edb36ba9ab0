// A binary heap whose items know their place in it, so that any of them leaves or moves in O(log n).

export interface HeapItem {
  /** Owned by the heap; -1 outside it. An item is in one heap at most. */
  heapIndex: number;
}

export class Heap<Item extends HeapItem> {
  /** In heap order: the children of `i` are `2i + 1` and `2i + 2`. Read only. */
  items: Item[] = [];
  readonly #precedes: (a: Item, b: Item) => boolean;

  constructor(precedes: (a: Item, b: Item) => boolean) {
    this.#precedes = precedes;
  }

  get first(): Item | undefined {
    return this.items[0];
  }

  push(item: Item): void {
    // Most heaps hold one item for all their life; pushed to, an empty array would get room for many.
    if (this.items.length === 0) this.items = [item];
    else this.items.push(item);
    this.#rise(item, this.items.length - 1);
  }

  /** Harmless for an item that is not in it. */
  remove(item: Item): void {
    const index = item.heapIndex;
    if (index < 0) return;
    const last = this.items.pop() as Item;
    item.heapIndex = -1;
    if (last !== item) this.#place(last, index);
  }

  /** The item's order has changed. */
  update(item: Item): void {
    if (item.heapIndex >= 0) this.#place(item, item.heapIndex);
  }

  #place(item: Item, index: number): void {
    if (this.#rise(item, index) === index) this.#sink(item, index);
  }

  #rise(item: Item, from: number): number {
    const { items } = this;
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = items[parentIndex] as Item;
      if (!this.#precedes(item, parent)) break;
      items[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    items[index] = item;
    item.heapIndex = index;
    return index;
  }

  #sink(item: Item, from: number): void {
    const { items } = this;
    const { length } = items;
    let index = from;
    for (let childIndex = 2 * index + 1; childIndex < length; childIndex = 2 * index + 1) {
      const right = items[childIndex + 1];
      if (right !== undefined && this.#precedes(right, items[childIndex] as Item)) childIndex++;
      const child = items[childIndex] as Item;
      if (!this.#precedes(child, item)) break;
      items[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    items[index] = item;
    item.heapIndex = index;
  }
}
