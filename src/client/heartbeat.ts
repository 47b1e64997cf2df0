import { monotonicMs } from './clock.ts';
import type { PresenceError } from './presence-error.ts';
import type { Activity } from './types.ts';

/** The server's default is 5 s, or half the interval where that is less. It corrects us where it is set otherwise. */
const usualGapMs = (intervalMs: number) => Math.min(5000, intervalMs / 2);

/**
 * Beats when the server's engine ping arrives. A ping is a network event, which browsers deliver to hidden tabs on time
 * while they hold timers back to once a minute; the timer here only stands in for pings that fail to come.
 */
export function createHeartbeat(send: (activity: Activity) => Promise<unknown>) {
  let intervalMs = 0;
  /** Not before this time. */
  let allowedAt = 0;
  let wanted: Activity = 'active';
  let told: Activity = 'active';
  let connection = 0;
  let standIn: ReturnType<typeof setTimeout> | undefined;
  let delayed: ReturnType<typeof setTimeout> | undefined;

  async function beat(): Promise<void> {
    clearTimers();
    const mine = connection;
    const saying = wanted;
    allowedAt = monotonicMs() + usualGapMs(intervalMs);
    standIn = setTimeout(beat, intervalMs * 1.25);
    try {
      await send(saying);
      if (mine !== connection) return;
      told = saying;
    } catch (error) {
      if (mine !== connection) return;
      // Too soon, where the server's minimum is not the usual one; or it cannot take any right now.
      allowedAt = monotonicMs() + ((error as PresenceError).retryAfterMs ?? usualGapMs(intervalMs));
    }
    // Also after a refusal: the change still has to be told.
    if (wanted !== told) whenAllowed();
  }

  function whenAllowed(): void {
    if (!intervalMs || delayed) return;
    const waitMs = allowedAt - monotonicMs();
    if (waitMs <= 0) void beat();
    else delayed = setTimeout(beat, waitMs);
  }

  function clearTimers(): void {
    clearTimeout(standIn);
    clearTimeout(delayed);
    delayed = undefined;
  }

  return {
    /** Connecting counts as a sign of life, so nothing is due yet. */
    start(everyMs: number): void {
      connection += 1;
      intervalMs = everyMs;
      allowedAt = 0;
      clearTimers();
      standIn = setTimeout(beat, intervalMs * 1.25);
      // A session that goes on is as it was said last; one that was lost meanwhile begins as active.
      if (wanted !== told || told !== 'active') whenAllowed();
    },
    stop(): void {
      connection += 1;
      intervalMs = 0;
      clearTimers();
    },
    ping(): void {
      if (intervalMs && allowedAt <= monotonicMs()) void beat();
    },
    /** As soon as the server allows one: after waking up, when nobody knows for how long we were away. */
    soon: whenAllowed,
    setActivity(activity: Activity): void {
      wanted = activity;
      if (wanted !== told) whenAllowed();
    },
  };
}
