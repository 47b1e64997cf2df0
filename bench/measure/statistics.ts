/** What is no number counts as the worst. */
export function median(values: readonly number[]): number {
  const known = values.map((value) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value));
  known.sort((a, b) => a - b);
  const [below, above] = [known[Math.floor((known.length - 1) / 2)], known[Math.ceil((known.length - 1) / 2)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below === above ? below : (below + above) / 2;
}

/** Between neighbours where it falls between two; NaN of nothing. `sorted`: ascending. */
export function quantile(sorted: readonly number[], part: number): number {
  const place = part * (sorted.length - 1);
  const [below = Number.NaN, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

/** Of delays in ms. */
export interface Spread {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export function spreadOf(values: Iterable<number>): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Three digits that mean something. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value !== 0 && Math.abs(value) < 100) return String(Number(value.toPrecision(3)));
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
}
