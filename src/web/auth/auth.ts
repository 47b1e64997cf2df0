import { hash, type KeyObject } from 'node:crypto';
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { JwtConfig } from '../../config/config.ts';
import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Claims } from '../../presence/change.ts';
import { isValidId } from '../../presence/ids.ts';
import { createJwks, type KeySet } from './jwks.ts';
import { verifyWithSecret } from './shared-secret.ts';
import {
  LONGEST_TOKEN,
  reasonOfExpiry,
  refusalReasonOf,
  type TokenRefusalReason,
  TokenRefusals,
} from './token-refusals.ts';

/** Who speaks, as far as the token proves it. */
export interface Caller {
  userId: string;
  /** The token's `exp`, in milliseconds since 1970. It is accepted for CLOCK_SKEW_MS longer. */
  expiresAt: number;
  /** null: an end user, who acts as `userId` only. Writing includes reading. */
  service: { read: boolean; write: boolean } | null;
  claims: Claims;
  /** The rooms it may join and watch, as the token names them: ids, with a `*` at the end what they begin with. */
  rooms: readonly string[];
}

export interface Authenticator {
  /**
   * Who speaks, by a token as it came, which with `leftMs` has to be good for so long yet. Throws a RollcallError that says
   * why not: UNAUTHENTICATED, TOKEN_EXPIRED, PAYLOAD_TOO_LARGE or INVALID_USER_ID; UNAVAILABLE while that cannot be known.
   */
  verify(token: string, leftMs?: number): Promise<Caller>;
  /** What is thrown where no token came at all. */
  missing(): RollcallError;
  /**
   * Who speaks with a token that was found good within the last minutes and is still, at the cost of a hash; null: that is
   * not known, it has to be verified.
   */
  recall(token: string, leftMs?: number): Caller | null;
}

/** How far clocks may differ: every door takes a token for so long after its `exp`, and no socket outlives it by more. */
export const CLOCK_SKEW_MS = 5000;
const CACHED_TOKENS = 10_000;
/** A key that was withdrawn goes on opening doors for this long, at most, to tokens that were seen before. */
const LONGEST_CACHE_MS = 300_000;
const LONGEST_NAME = 200;
const LONGEST_PICTURE = 2000;
const MOST_ROOMS = 100;
const LONGEST_ROOM = 128;
const NO_ROOMS: readonly string[] = [];

/**
 * Makes what checks tokens by the settings. `now` gives the time in ms by which they expire; `refused` hears why each
 * bad one was no good.
 */
export function createAuthenticator(
  config: { jwt: JwtConfig },
  log: Logger,
  now: () => number = Date.now,
  refused: (reason: TokenRefusalReason) => void = () => {},
): Authenticator {
  const refusals = new TokenRefusals(log, now, refused);
  const check = createTokenCheck(config.jwt, log, now, refusals);
  // By a hash, so that a heap dump holds no tokens; a reconnecting crowd brings the same ones again.
  const seen = new LRUCache<string, { caller: Caller; until: number }>({ max: CACHED_TOKENS });
  const keyOf = (token: string) => hash('sha256', token, 'base64');
  const known = (key: string): Caller | null => {
    const found = seen.get(key);
    return found !== undefined && now() < found.until ? found.caller : null;
  };
  // jose counts whole seconds; here is the one place that decides.
  const isOver = ({ expiresAt }: Caller, leftMs: number) => now() + leftMs >= expiresAt + CLOCK_SKEW_MS;
  const find = async (token: string): Promise<Caller> => {
    const key = keyOf(token);
    const found = known(key);
    if (found !== null) return found;
    if (!isCanonical(token)) throw refusals.refuse('malformed');
    const caller = callerOf(await check(token), now(), refusals);
    seen.set(key, { caller, until: now() + LONGEST_CACHE_MS });
    return caller;
  };
  return {
    missing: () => refusals.refuse('missing'),
    recall(token, leftMs = 0) {
      const caller = known(keyOf(token));
      return caller === null || isOver(caller, leftMs) ? null : caller;
    },
    async verify(token, leftMs = 0) {
      if (token === '') throw refusals.refuse('missing');
      if (token.length > LONGEST_TOKEN) throw refusals.refuse('too_long');
      const caller = await find(token);
      if (isOver(caller, leftMs)) throw refusals.refuse('expired');
      return caller;
    },
  };
}

/**
 * Whether these are three parts as every library for JWTs writes them. Padding, white space, another alphabet and stray bits
 * behind the last character mean the same to those who decode, and would be another token to limits and caches.
 */
function isCanonical(token: string): boolean {
  const parts = token.split('.');
  return parts.length === 3 && parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);
}

/** The signature and what jose knows to check, with our codes for whatever fails. */
function createTokenCheck(
  { key, issuer, audience }: JwtConfig,
  log: Logger,
  now: () => number,
  refusals: TokenRefusals,
) {
  const keys: KeySet = key.kind === 'jwks' ? createJwks(key.url, log, now) : justOne(key.key);
  const secret = key.kind === 'fixed' && key.algorithm === 'HS256' ? key.key : null;
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
      const signed = secret && verifyWithSecret(token, secret, options);
      if (signed) return signed;
      return await verifyWithNewest(token, keys, options);
    } catch (error) {
      throw error instanceof RollcallError ? error : refusals.refuse(refusalReasonOf(error), error);
    }
  };
}

function justOne(key: KeyObject): KeySet {
  return { getKey: async () => key, version: 0, renew: async () => false };
}

/** A key may be replaced under its old name, or under none: then a signature that does not fit is all that tells of it. */
async function verifyWithNewest(token: string, keys: KeySet, options: JWTVerifyOptions): Promise<JWTPayload> {
  const { version } = keys;
  try {
    return await verifyWithAny(token, keys.getKey, options);
  } catch (error) {
    if (!(error instanceof errors.JWSSignatureVerificationFailed) || !(await keys.renew(version))) throw error;
    return await verifyWithAny(token, keys.getKey, options);
  }
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

function callerOf(payload: JWTPayload, now: number, refusals: TokenRefusals): Caller {
  const { sub, exp = Number.NaN } = payload;
  if (!isValidId(sub)) throw refusals.refuse('sub_invalid');
  const rooms = roomsOf(payload.rooms);
  if (rooms === null) throw refusals.refuse('rooms_invalid');
  const wrong = reasonOfExpiry(exp, now + CLOCK_SKEW_MS);
  if (wrong !== null) throw refusals.refuse(wrong);
  return {
    userId: sub,
    expiresAt: Math.floor(exp * 1000),
    service: serviceRights(payload.scope),
    claims: claimsOf(payload),
    rooms,
  };
}

/** Any `presence:` scope makes a service token, also one we do not know: it must not pass for an end user's. */
function serviceRights(scope: unknown): Caller['service'] {
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  if (!scopes.some((entry) => entry.startsWith('presence:'))) return null;
  const write = scopes.includes('presence:write');
  return { read: write || scopes.includes('presence:read'), write };
}

/** null: they are no names of rooms. */
function roomsOf(claim: unknown): readonly string[] | null {
  if (claim === undefined || claim === null) return NO_ROOMS;
  if (!Array.isArray(claim) || claim.length > MOST_ROOMS) return null;
  const isName = (name: unknown) =>
    typeof name === 'string' &&
    name.length <= LONGEST_ROOM &&
    (name === '*' || isValidId(name.endsWith('*') ? name.slice(0, -1) : name));
  return claim.every(isName) ? claim : null;
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
