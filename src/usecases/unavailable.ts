import { RollcallError } from '../errors.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { isRedisAway } from '../redis/absence.ts';
import { ChangedMeanwhile } from './privacy.ts';

const RETRY_AFTER_MS = 1000;

/** The error for what cannot be known or done while a store is away, with when to ask again. */
export function unavailable(cause?: unknown): RollcallError {
  return new RollcallError('UNAVAILABLE', { retryAfterMs: RETRY_AFTER_MS, cause });
}

/**
 * Does work that asks a store. Rejects with UNAVAILABLE where that is away, which is no fault of the caller's and none
 * of ours: it may ask again. All other errors pass.
 */
export async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const passes = error instanceof ChangedMeanwhile;
    if (passes || isRedisAway(error) || isConnectionError(error)) throw unavailable(error);
    throw error;
  }
}
