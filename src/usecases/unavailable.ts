import { RollcallError } from '../errors.ts';
import { codeOf, isConnectionError, isOfPostgres, isRefusal } from '../postgres/errors.ts';
import { absenceOf } from '../redis/absence.ts';
import { ChangedMeanwhile } from './privacy.ts';

const RETRY_AFTER_MS = 1000;
const AGAIN = 'so the answer cannot be known right now: try again in a moment.';

/** The error for what cannot be known or done at this moment, with when to ask again; `message` says which store is in the way. */
export function unavailable(cause?: unknown, message?: string): RollcallError {
  return new RollcallError('UNAVAILABLE', { message, retryAfterMs: RETRY_AFTER_MS, cause });
}

/** The error for what only PostgreSQL knows while it is away, with when to ask again. */
export function postgresUnavailable(cause?: unknown): RollcallError {
  const does = isRefusal(cause) ? `refuses what it is asked (${codeOf(cause)})` : 'is not answering';
  return unavailable(cause, `PostgreSQL ${does}, ${AGAIN}`);
}

/**
 * Does work that asks a store. Rejects with UNAVAILABLE where that is away, which is no fault of the caller's and none
 * of ours: it may ask again; the message names the store. All other errors pass.
 */
export async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ChangedMeanwhile) throw unavailable(error);
    const absence = isOfPostgres(error) ? null : absenceOf(error);
    if (absence) {
      const does = absence.refuses ? `refuses what it is asked (${absence.kind})` : 'is not answering';
      throw unavailable(error, `Redis ${does}, ${AGAIN}`);
    }
    if (isConnectionError(error)) throw postgresUnavailable(error);
    throw error;
  }
}
