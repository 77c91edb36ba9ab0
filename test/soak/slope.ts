// The straight line that fits a series best.

export interface Sample {
  readonly atMs: number;
  readonly megabytes: number;
}

export interface Slope {
  readonly perHour: number;
  /** Standard error, in the same unit: what a slope means that is not larger, nobody knows. */
  readonly error: number;
}

/** Of at least three samples. */
export function findSlope(samples: readonly Sample[]): Slope {
  const count = samples.length;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / count;
  const hours = samples.map(({ atMs }) => atMs / 3_600_000);
  const sizes = samples.map(({ megabytes }) => megabytes);
  const [meanHours, meanSize] = [mean(hours), mean(sizes)];
  const spread = hours.reduce((sum, at) => sum + (at - meanHours) ** 2, 0);
  const perHour =
    hours.reduce((sum, at, index) => sum + (at - meanHours) * ((sizes[index] ?? 0) - meanSize), 0) / spread;
  const residue = hours.reduce((sum, at, index) => {
    return sum + ((sizes[index] ?? 0) - meanSize - perHour * (at - meanHours)) ** 2;
  }, 0);
  return { perHour, error: Math.sqrt(residue / (count - 2) / spread) };
}
