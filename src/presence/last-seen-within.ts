/** How long ago somebody was seen, for those who may know no more. */
export const WITHIN = ['day', 'week', 'month', 'long_ago'] as const;
export type Within = (typeof WITHIN)[number];

const DAY_MS = 86_400_000;

/**
 * How long ago a moment (ms) was, in whole days of UTC, so that it becomes another at midnight only: `day` is today or yesterday,
 * `week` and `month` the 7 and the 30 days before today.
 */
export function within(lastSeen: number, now: number): Within {
  const daysAgo = Math.floor(now / DAY_MS) - Math.floor(lastSeen / DAY_MS);
  if (daysAgo <= 1) return 'day';
  if (daysAgo <= 7) return 'week';
  return daysAgo <= 30 ? 'month' : 'long_ago';
}
