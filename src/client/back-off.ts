import type { PresenceError } from './presence-error.ts';

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** Where somebody has to do something before it can go well. */
const LONGEST_DELAY_REFUSED_MS = 300_000;

/** Why the next attempt waits, and for how long where that is not left to the client. */
export interface Pause {
  error?: PresenceError;
  /** The server spreads its clients itself. */
  exactMs?: number | undefined;
  /** The server says when it is of use at the earliest. */
  leastMs?: number | undefined;
  atOnce?: boolean | undefined;
}

/**
 * How long to wait for the next attempt, in milliseconds, after so many failures in a row; `isSlow`: somebody has to do
 * something first. A part of it is chance, so that those who were cut off together do not come back together.
 */
export function backOffMs(failures: number, isSlow: boolean, { exactMs, leastMs = 0, atOnce }: Pause): number {
  if (exactMs !== undefined) return exactMs;
  const longest = Math.min(isSlow ? LONGEST_DELAY_REFUSED_MS : LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  return leastMs + (atOnce ? 0 : longest * (0.5 + Math.random() / 2));
}
