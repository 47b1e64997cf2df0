import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** After so long the keys are fetched again, so that one which was withdrawn is no longer trusted. */
const REFRESH_AFTER_MS = 600_000;
/** A token with an unknown key, of which anybody can make as many as they like, causes a fetch at most this often. */
const COOLDOWN_MS = 5000;
const FETCH_LIMIT_MS = 3000;

/**
 * Keys from an address, with three promises that jose's own schedule does not make: what was fetched stays in use for as
 * long as the address is away; a refresh that is due keeps nobody waiting; and failed fetches have a cool-down too.
 */
export function createJwks(url: string, log: Logger, now: () => number): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: FETCH_LIMIT_MS,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
  });
  let fetchedAt: number | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failed = false;

  /** One fetch for everybody who needs it at the time; true when the keys are fresh now. */
  let fetching: Promise<boolean> | undefined;
  const refresh = (): Promise<boolean> => {
    fetching ??= fetchKeys().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
  const fetchKeys = async () => {
    triedAt = now();
    try {
      await keys.reload();
      fetchedAt = now();
      failed = false;
    } catch (error) {
      failed = true;
      log.warn({ err: error, url, keysKept: fetchedAt !== undefined }, 'the keys of the tokens could not be fetched');
    }
    return !failed;
  };
  const coolingDown = () => now() < triedAt + COOLDOWN_MS;
  const away = () => {
    const retryAfterMs = Math.max(0, triedAt + COOLDOWN_MS - now());
    return new RollcallError('UNAVAILABLE', { message: 'The key of this token cannot be fetched now.', retryAfterMs });
  };

  return async (header, token) => {
    if (fetchedAt === undefined) {
      const fetched = fetching !== undefined || !coolingDown() ? await refresh() : false;
      if (!fetched) throw away();
    } else if (now() >= fetchedAt + REFRESH_AFTER_MS && !coolingDown()) {
      void refresh();
    }
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (fetching === undefined && coolingDown()) throw failed ? away() : error;
      if (await refresh()) return keys(header, token);
      throw away();
    }
  };
}
