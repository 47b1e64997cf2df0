/** With so many in one call, what the call itself costs is a small part of each of them. */
const WORTH_A_CALL = 16;
/** Where fewer came nobody waits longer for more: it would save little in all. */
const CROWD = 6;
/** In a crowd nobody waits longer (ms). */
const LONGEST_MS = 60;

/**
 * How long (ms) what comes next is gathered, after `count` came within the last `ms`: `leastMs`, and in a crowd until there are as many
 * as are worth a call. The larger the crowd, the sooner that is.
 */
export function gatherMs(count: number, ms: number, leastMs: number): number {
  if (count < CROWD) return leastMs;
  const enoughMs = (WORTH_A_CALL * Math.min(ms, LONGEST_MS)) / count;
  return Math.max(Math.min(enoughMs, LONGEST_MS), leastMs);
}
