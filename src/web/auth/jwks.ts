import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';

/** After so long the keys are fetched again, so that one which was withdrawn is no longer trusted. */
const REFRESH_AFTER_MS = 600_000;
/** A token with an unknown key or a bad signature, of which anybody can make as many as they like, causes a fetch at most this often. */
const COOLDOWN_MS = 5000;
const FETCH_LIMIT_MS = 3000;

/** Keys that are kept somewhere else. */
export interface KeySet {
  /** Finds the key of a token. Throws UNAVAILABLE while it cannot be fetched, and what jose throws where there is none. */
  getKey: JWTVerifyGetKey;
  /** Changes whenever the keys do. */
  readonly version: number;
  /**
   * For a token whose signature does not fit any key of that version: fetches the keys, unless that was done just now. True
   * where there are others since, and the token is worth another try.
   */
  renew(version: number): Promise<boolean>;
}

/**
 * Keys from an address (which may hold a user and a password), with three promises that jose's own schedule does not make:
 * what was fetched stays in use for as long as the address is away; a refresh that is due keeps nobody waiting; and failed
 * fetches have a cool-down too. `now` gives the time in ms.
 */
export function createJwks(address: string, log: Logger, now: () => number): KeySet {
  const { url, headers } = withoutCredentials(address);
  const keys = createRemoteJWKSet(url, {
    headers,
    timeoutDuration: FETCH_LIMIT_MS,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
  });
  let fetchedAt: number | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failed = false;
  let version = 0;

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
    const before = JSON.stringify(keys.jwks());
    try {
      await keys.reload();
      fetchedAt = now();
      failed = false;
      if (JSON.stringify(keys.jwks()) !== before) version++;
    } catch (error) {
      failed = true;
      const line = { err: error, url: url.href, keysKept: fetchedAt !== undefined };
      log.warn(line, 'the keys of the tokens could not be fetched');
    }
    return !failed;
  };
  const coolingDown = () => now() < triedAt + COOLDOWN_MS;
  const away = () => {
    const retryAfterMs = Math.max(0, triedAt + COOLDOWN_MS - now());
    return new RollcallError('UNAVAILABLE', { message: 'The key of this token cannot be fetched now.', retryAfterMs });
  };

  /** A key that cannot be used is none: its publisher may have mended it since. */
  const find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw new errors.JWKSNoMatchingKey(undefined, { cause: error });
    }
  };

  return {
    async getKey(header, token) {
      if (fetchedAt === undefined) {
        const fetched = fetching !== undefined || !coolingDown() ? await refresh() : false;
        if (!fetched) throw away();
      } else if (now() >= fetchedAt + REFRESH_AFTER_MS && !coolingDown()) {
        void refresh();
      }
      try {
        return await find(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        if (fetching === undefined && coolingDown()) throw failed ? away() : error;
        if (await refresh()) return find(header, token);
        throw away();
      }
    },
    get version() {
      return version;
    },
    async renew(known) {
      // Whoever signs badly has to wait, if need be; nobody else does.
      if (version === known && (fetching !== undefined || !coolingDown())) await refresh();
      return version !== known;
    },
  };
}

/** `fetch` takes no user and password in an address: they go into a header. Both have to be sound percent-encoding. */
function withoutCredentials(address: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(address);
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  if (!user && !password) return { url, headers: {} };
  url.username = '';
  url.password = '';
  return { url, headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` } };
}
