// A bound on bytes that many calls hold together, such as request bodies or unsent answers. Each holder may have a part of
// it, so that what one of them leaves unfinished never stands in the way of the others.

export interface ByteBudget {
  /** Takes `bytes` if they fit; false changes nothing. */
  take(bytes: number): boolean;
  /** Takes `bytes` whether they fit or not; for bytes that are in memory already. */
  force(bytes: number): void;
  give(bytes: number): void;
  readonly isFull: boolean;
}

export interface SharedByteBudget {
  /** What is one holder's of it: bounded by its part and by what all hold together. */
  of(holder: string): ByteBudget;
  /** Of all holders. */
  readonly used: number;
}

/** What a holder may have of the whole. */
const partOfWhole = 1 / 8;

/** `partMin`: the least that a holder may have, such as the largest body. A holder of nothing may take what fits. */
export function createByteBudget(bytesMax: number, partMin: () => number = () => 0): SharedByteBudget {
  const held = new Map<string, number>();
  let used = 0;

  function fits(holder: string, bytes: number): boolean {
    const own = held.get(holder) ?? 0;
    const part = Math.max(bytesMax * partOfWhole, partMin());
    return used + bytes <= bytesMax && (own === 0 || own + bytes <= part);
  }

  function add(holder: string, bytes: number): void {
    used += bytes;
    const own = (held.get(holder) ?? 0) + bytes;
    if (own === 0) held.delete(holder);
    else held.set(holder, own);
  }

  return {
    of: (holder) => ({
      take(bytes) {
        if (!fits(holder, bytes)) return false;
        add(holder, bytes);
        return true;
      },
      force: (bytes) => add(holder, bytes),
      give: (bytes) => add(holder, -bytes),
      get isFull() {
        return !fits(holder, 1);
      },
    }),
    get used() {
      return used;
    },
  };
}
