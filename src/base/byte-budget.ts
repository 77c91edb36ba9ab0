// A bound on bytes that many calls hold together, such as request bodies or unsent answers: of one thread, or of several.

export interface ByteBudget {
  /** Takes `bytes` if they fit; false changes nothing. */
  take(bytes: number): boolean;
  /** Takes `bytes` whether they fit or not; for bytes that are in memory already. */
  force(bytes: number): void;
  give(bytes: number): void;
  readonly used: number;
  readonly isFull: boolean;
}

export function createByteBudget(bytesMax: number): ByteBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > bytesMax) return false;
      used += bytes;
      return true;
    },
    force(bytes) {
      used += bytes;
    },
    give(bytes) {
      used -= bytes;
    },
    get used() {
      return used;
    },
    get isFull() {
      return used >= bytesMax;
    },
  };
}

/** What threads count together: all of them first, then a cell for each, so that what a dead one held can be told. */
export type SharedBytes = Int32Array<SharedArrayBuffer>;

export function createSharedBytes(threadCount: number): SharedBytes {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (threadCount + 1)));
}

/** The same bound for all threads; `thread`: 0 and up. At most 2 GiB. */
export function createSharedByteBudget(bytesMax: number, bytes: SharedBytes, thread: number): ByteBudget {
  const own = thread + 1;

  function add(count: number): void {
    Atomics.add(bytes, 0, count);
    Atomics.add(bytes, own, count);
  }

  return {
    take(count) {
      // Taken first and looked at then: of two threads that come at once, both may be refused, but never too much taken.
      if (Atomics.add(bytes, 0, count) + count > bytesMax) {
        Atomics.sub(bytes, 0, count);
        return false;
      }
      Atomics.add(bytes, own, count);
      return true;
    },
    force: add,
    give: (count) => add(-count),
    get used() {
      return Atomics.load(bytes, 0);
    },
    get isFull() {
      return Atomics.load(bytes, 0) >= bytesMax;
    },
  };
}

/** Gives back what a thread held that is no more. */
export function forgetThread(bytes: SharedBytes, thread: number): void {
  Atomics.sub(bytes, 0, Atomics.exchange(bytes, thread + 1, 0));
}
