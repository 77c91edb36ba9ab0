// What would have been fair, and how near to it a result is. Jain's index alone can be had by throwing capacity away
// (serve everybody one call), so it is taken over what each got of its max-min fair share.

export interface Demand {
  readonly userId: string;
  readonly amount: number;
  readonly weight: number;
}

/** Weighted max-min: nobody gets more than asked, and what one leaves goes to the others by weight. */
export function allocateMaxMin(demands: readonly Demand[], capacity: number): Map<string, number> {
  const shares = new Map<string, number>();
  const byNeed = demands.toSorted((one, other) => one.amount / one.weight - other.amount / other.weight);
  let left = capacity;
  let weightLeft = byNeed.reduce((sum, { weight }) => sum + weight, 0);
  for (const { userId, amount, weight } of byNeed) {
    const share = Math.min(amount, (left * weight) / weightLeft);
    shares.set(userId, share);
    left -= share;
    weightLeft -= weight;
  }
  return shares;
}

/** Jain's index: 1 when all are equal, 1/n when one has all. NaN for nobody. */
export function computeJain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  if (values.length === 0) return Number.NaN;
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}

/** Jain's index of what each user got over its max-min fair share. */
export function computeNormalisedJain(
  demands: readonly Demand[],
  capacity: number,
  served: ReadonlyMap<string, number>,
): number {
  const fair = allocateMaxMin(demands, capacity);
  const ratios = demands
    .filter(({ amount }) => amount > 0)
    .map(({ userId }) => (served.get(userId) ?? 0) / (fair.get(userId) as number));
  return computeJain(ratios);
}
