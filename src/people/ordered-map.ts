// A map that is read in the order of its keys (by UTF-16 units, as `sort()` has it). Reading all of it costs nothing as
// long as nothing changed.

export class OrderedMap<Value> {
  readonly #entries = new Map<string, Value>();
  #keys: string[] = [];
  #values: readonly Value[] | null = [];

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: Value): void {
    if (!this.#entries.has(key)) this.#keys.splice(this.#placeOf(key), 0, key);
    this.#entries.set(key, value);
    this.#values = null;
  }

  delete(key: string): boolean {
    if (!this.#entries.delete(key)) return false;
    this.#keys.splice(this.#placeOf(key), 1);
    this.#values = null;
    return true;
  }

  /** Everything anew. */
  fill(entries: Iterable<readonly [string, Value]>): void {
    this.#entries.clear();
    for (const [key, value] of entries) this.#entries.set(key, value);
    this.#keys = [...this.#entries.keys()].sort();
    this.#values = null;
  }

  /** The same list until something changes, and never changed itself. */
  values(): readonly Value[] {
    this.#values ??= this.#keys.map((key) => this.#entries.get(key) as Value);
    return this.#values;
  }

  /** Where the key is, or would be. */
  #placeOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
