// How many bytes may be in memory at once, of all calls together and of one alone. One user may have an eighth of each
// (base/byte-budget.ts).

const mebibyte = 1024 * 1024;

export const bytesMax = {
  /** Request bodies. */
  bodies: 256 * mebibyte,
  /** Answers that are collected. */
  collected: 256 * mebibyte,
  /** Bytes of answers that wait for their clients. */
  unsent: 64 * mebibyte,
  unsentOfOne: mebibyte,
} as const;
