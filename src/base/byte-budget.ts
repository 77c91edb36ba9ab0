// A bound on bytes that many calls hold together, such as request bodies or unsent answers.

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
