export interface Line {
  mean: number;
  /** Per unit of x. */
  slope: number;
  /** How uncertain the slope is. */
  slopeError: number;
  /** By the line, from the first point to the last. */
  growth: number;
}

/** Least squares. */
export function fitLine(points: readonly { x: number; y: number }[]): Line {
  const n = points.length;
  const average = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / Math.max(1, n);
  const [meanX, mean] = [average(({ x }) => x), average(({ y }) => y)];
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  if (n < 3 || spread === 0) return { mean, slope: 0, slopeError: Number.POSITIVE_INFINITY, growth: 0 };
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - mean), 0) / spread;
  const residual = points.reduce((sum, { x, y }) => sum + (y - mean - slope * (x - meanX)) ** 2, 0);
  const xs = points.map(({ x }) => x);
  return {
    mean,
    slope,
    slopeError: Math.sqrt(residual / (n - 2) / spread),
    growth: slope * (Math.max(...xs) - Math.min(...xs)),
  };
}

/** Flat: what it grew is no more than noise, or than a twentieth of what it is, or cannot be told from nothing. */
export function isFlat({ mean, slope, slopeError, growth }: Line, noise: number): boolean {
  return growth <= Math.max(noise, mean / 20) || slope <= 2 * slopeError;
}
