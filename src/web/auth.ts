import { createHash } from 'node:crypto';
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { JwtConfig } from '../config.ts';
import { RollcallError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Claims } from '../presence/change.ts';
import { isValidId } from '../presence/ids.ts';
import { createJwks } from './jwks.ts';

/** Who speaks, as far as the token proves it. */
export interface Caller {
  userId: string;
  /** The token's `exp`, in milliseconds since 1970. It is accepted for CLOCK_SKEW_MS longer. */
  expiresAt: number;
  /** null: an end user, who acts as `userId` only. Writing includes reading. */
  service: { read: boolean; write: boolean } | null;
  claims: Claims;
}

export interface Authenticator {
  /** Throws a RollcallError: UNAUTHENTICATED, TOKEN_EXPIRED, INVALID_USER_ID or UNAVAILABLE. */
  verify(token: string): Promise<Caller>;
}

export const CLOCK_SKEW_MS = 5000;
const LONGEST_TOKEN = 16_384;
const CACHED_TOKENS = 10_000;
/** A key that was withdrawn goes on opening doors for this long, at most, to tokens that were seen before. */
const LONGEST_CACHE_MS = 300_000;
const LONGEST_NAME = 200;
const LONGEST_PICTURE = 2000;

export function createAuthenticator(
  config: { jwt: JwtConfig },
  log: Logger,
  now: () => number = Date.now,
): Authenticator {
  const check = createTokenCheck(config.jwt, log, now);
  // By a hash, so that a heap dump holds no tokens; a reconnecting crowd brings the same ones again.
  const seen = new LRUCache<string, { caller: Caller; until: number }>({ max: CACHED_TOKENS });
  return {
    async verify(token) {
      if (typeof token !== 'string' || token === '' || token.length > LONGEST_TOKEN) {
        throw new RollcallError('UNAUTHENTICATED');
      }
      const key = createHash('sha256').update(token).digest('base64');
      const known = seen.get(key);
      if (known !== undefined && now() < known.until) return known.caller;
      const caller = callerOf(await check(token));
      seen.set(key, { caller, until: Math.min(caller.expiresAt + CLOCK_SKEW_MS, now() + LONGEST_CACHE_MS) });
      return caller;
    },
  };
}

/** The signature and what jose knows to check, with our codes for whatever fails. */
function createTokenCheck({ key, issuer, audience }: JwtConfig, log: Logger, now: () => number) {
  const getKey: JWTVerifyGetKey = key.kind === 'jwks' ? createJwks(key.url, log, now) : () => key.key;
  const fixed = {
    algorithms: key.kind === 'fixed' ? [key.algorithm] : ['RS256', 'ES256', 'EdDSA'],
    requiredClaims: ['sub', 'exp'],
    clockTolerance: CLOCK_SKEW_MS / 1000,
    ...(issuer === null ? {} : { issuer }),
    ...(audience === null ? {} : { audience }),
  };
  return async (token: string): Promise<JWTPayload> => {
    const options: JWTVerifyOptions = { ...fixed, currentDate: new Date(now()) };
    try {
      return await verifyWithAny(token, getKey, options);
    } catch (error) {
      if (error instanceof RollcallError) throw error;
      if (error instanceof errors.JWTExpired) throw new RollcallError('TOKEN_EXPIRED', { cause: error });
      throw new RollcallError('UNAUTHENTICATED', { cause: error });
    }
  };
}

/** A key set may hold several keys that fit a token without a `kid`: each is tried in turn. */
async function verifyWithAny(token: string, getKey: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, getKey, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        // Signed by this very key, and wrong for another reason.
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function callerOf(payload: JWTPayload): Caller {
  const { sub, exp } = payload;
  if (!isValidId(sub)) throw new RollcallError('INVALID_USER_ID', { message: 'The sub of the token is no user id.' });
  const expiresAt = Math.floor((exp ?? Number.NaN) * 1000);
  // JSON allows 1e400, which no timer can wait for.
  if (!Number.isSafeInteger(expiresAt)) throw new RollcallError('UNAUTHENTICATED');
  return { userId: sub, expiresAt, service: serviceRights(payload.scope), claims: claimsOf(payload) };
}

/** Any `presence:` scope makes a service token, also one we do not know: it must not pass for an end user's. */
function serviceRights(scope: unknown): Caller['service'] {
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  if (!scopes.some((entry) => entry.startsWith('presence:'))) return null;
  const write = scopes.includes('presence:write');
  return { read: write || scopes.includes('presence:read'), write };
}

function claimsOf({ name, picture }: JWTPayload): Claims {
  const claims: Claims = {};
  const cleanName = clean(name, LONGEST_NAME);
  const cleanPicture = clean(picture, LONGEST_PICTURE);
  if (cleanName !== '') claims.name = cleanName;
  if (cleanPicture !== '') claims.picture = cleanPicture;
  return claims;
}

/** PostgreSQL refuses NUL and halves of surrogate pairs, which cutting may leave too; nobody needs the other controls. */
function clean(text: unknown, longest: number): string {
  if (typeof text !== 'string') return '';
  const visible = text.replace(/\p{Cc}/gu, '').trim();
  return visible
    .slice(0, longest)
    .replace(/\p{Cs}/gu, '')
    .trimEnd();
}
