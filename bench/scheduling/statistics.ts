// Order statistics over plain arrays.

/** The value that `share` of all are at most; NaN for none. */
export function findQuantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function computeMean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function countWhere<Item>(items: readonly Item[], holds: (item: Item) => boolean): number {
  return items.reduce((count, item) => count + (holds(item) ? 1 : 0), 0);
}

/** NaN for none of none. */
export function computeShare<Item>(items: readonly Item[], holds: (item: Item) => boolean): number {
  return countWhere(items, holds) / items.length;
}

/** Normally distributed with mean 0 and deviation 1 (Box and Muller). */
export function drawNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function drawExponential(random: () => number, mean: number): number {
  return -mean * Math.log(1 - random());
}
