import { errors } from 'jose';
import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { ErrorCode } from '../../protocol/errors.ts';

/** Longer ones are not even looked at. REST hears of none: the headers of a request have no more room than that. */
export const LONGEST_TOKEN = 16_384;

interface Refusal {
  code: ErrorCode;
  /** For whoever makes the tokens. Nothing of a token is in it, nothing of a key, and no quotation mark (RFC 6750). */
  message: string;
  /** Told to the log in passing: everyday, and no fault of a setting. */
  everyday?: boolean;
}

/** Every reason for which a token is refused, by its name in metrics and logs. */
export const TOKEN_REFUSALS = {
  missing: {
    code: 'UNAUTHENTICATED',
    message: 'A token is required: after `Bearer` in the header `Authorization`, or as `auth.token` of a handshake.',
    everyday: true,
  },
  too_long: {
    code: 'PAYLOAD_TOO_LARGE',
    message: `The token is too long: at most ${LONGEST_TOKEN} characters.`,
  },
  malformed: {
    code: 'UNAUTHENTICATED',
    message: 'The token is not a signed JWT: three parts in base64url, joined by dots, and nothing else.',
  },
  unsupported: {
    code: 'UNAUTHENTICATED',
    message: 'The header of the token asks for something that is not supported here, such as a `crit` or a `b64`.',
  },
  algorithm: {
    code: 'UNAUTHENTICATED',
    message: 'The `alg` of the token is not one that fits the key of this server.',
  },
  unknown_key: {
    code: 'UNAUTHENTICATED',
    message: 'The key set of this server has no usable key with the `kid` and for the `alg` of the token.',
  },
  wrong_key: {
    code: 'UNAUTHENTICATED',
    message: 'The signature of the token does not fit: it was signed with another key, or changed since.',
  },
  wrong_issuer: {
    code: 'UNAUTHENTICATED',
    message: 'The `iss` of the token is missing, or not the issuer that this server was set up with.',
  },
  wrong_audience: {
    code: 'UNAUTHENTICATED',
    message: 'The `aud` of the token is missing, or without the audience that this server was set up with.',
  },
  sub_missing: {
    code: 'UNAUTHENTICATED',
    message: 'The token has no `sub`, which has to be the user id.',
  },
  sub_invalid: {
    code: 'INVALID_USER_ID',
    message: 'The `sub` of the token is no user id: 1 to 128 characters out of A-Z a-z 0-9 . _ - @ | + : ~',
  },
  rooms_invalid: {
    code: 'UNAUTHENTICATED',
    message:
      'The `rooms` of the token is no list of at most 100 names of rooms: ids, or what ids begin with and a `*` behind it, ' +
      'of at most 128 characters, or `*` alone.',
  },
  exp_missing: {
    code: 'UNAUTHENTICATED',
    message: 'The token has no `exp`, or one that is not a number: when it ends, in seconds since 1970.',
  },
  exp_in_milliseconds: {
    code: 'UNAUTHENTICATED',
    message: 'The `exp` of the token is in milliseconds, and has to be in seconds since 1970.',
  },
  exp_too_far: {
    code: 'UNAUTHENTICATED',
    message: 'The `exp` of the token is more than a year ahead. It has to be in seconds since 1970.',
  },
  not_yet_valid: {
    code: 'UNAUTHENTICATED',
    message: 'The `nbf` of the token lies ahead. It has to be in seconds since 1970, and clocks may differ by 5 s.',
  },
  not_a_time: {
    code: 'UNAUTHENTICATED',
    message: 'The `iat` or the `nbf` of the token is not a number: seconds since 1970.',
  },
  expired: {
    code: 'TOKEN_EXPIRED',
    message: 'The token has expired.',
    everyday: true,
  },
} as const satisfies Record<string, Refusal>;

export type TokenRefusalReason = keyof typeof TOKEN_REFUSALS;

/** A token that is refused, with a sentence for whoever made it. */
export class TokenRefusal extends RollcallError {
  readonly reason: TokenRefusalReason;

  constructor(reason: TokenRefusalReason, cause?: unknown) {
    const { code, message } = TOKEN_REFUSALS[reason];
    super(code, { message, cause });
    this.reason = reason;
  }
}

/** After what was logged of a reason, nothing more of it is for so long. */
const QUIET_MS = 60_000;

/** Makes the refusals of one process, and sees to it that its operator hears of them. */
export class TokenRefusals {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #counted: (reason: TokenRefusalReason) => void;
  readonly #told = new Map<TokenRefusalReason, { at: number; since: number }>();

  /** `counted` is called for each refusal; `now` gives the time in ms. */
  constructor(log: Logger, now: () => number, counted: (reason: TokenRefusalReason) => void) {
    this.#log = log;
    this.#now = now;
    this.#counted = counted;
  }

  /** The error to throw, counted; for each reason the log gets a line at once, and then one a minute at most. */
  refuse(reason: TokenRefusalReason, cause?: unknown): TokenRefusal {
    const refusal = new TokenRefusal(reason, cause);
    this.#counted(reason);
    const told = this.#told.get(reason);
    if (told && this.#now() < told.at + QUIET_MS) {
      told.since++;
      return refusal;
    }
    const kind: Refusal = TOKEN_REFUSALS[reason];
    // With all that were refused since the last line: a single one is not worth a look, thousands are.
    const line = { reason, refused: (told?.since ?? 0) + 1 };
    this.#log[kind.everyday ? 'info' : 'warn'](line, `Tokens are refused: ${kind.message}`);
    this.#told.set(reason, { at: this.#now(), since: 0 });
    return refusal;
  }
}

/** Why a token did not pass jose's checks, by what they threw. */
export function refusalReasonOf(thrown: unknown): TokenRefusalReason {
  if (thrown instanceof errors.JWTExpired) return 'expired';
  if (thrown instanceof errors.JWTClaimValidationFailed) return reasonOfClaim(thrown.claim, thrown.reason);
  if (thrown instanceof errors.JOSEAlgNotAllowed) return 'algorithm';
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return 'wrong_key';
  if (thrown instanceof errors.JOSENotSupported) return 'unsupported';
  // Of the token's making are errors of jose's own alone; the others are of a key, one that is too short for instance.
  if (thrown instanceof errors.JWKSNoMatchingKey || !(thrown instanceof errors.JOSEError)) return 'unknown_key';
  return 'malformed';
}

function reasonOfClaim(claim: string, what: string): TokenRefusalReason {
  if (claim === 'iss') return 'wrong_issuer';
  if (claim === 'aud') return 'wrong_audience';
  if (claim === 'sub') return 'sub_missing';
  if (claim === 'exp') return 'exp_missing';
  return claim === 'nbf' && what === 'check_failed' ? 'not_yet_valid' : 'not_a_time';
}

const SECOND_MS = 1000;
/** As a number of seconds in the year 5138, as one of milliseconds in 1973; */
const MILLISECONDS_FROM = 1e11;
/** and from here on it is none of either. */
const MILLISECONDS_TO = 1e14;
/** As libraries count it that know no calendar. */
const MEAN_YEAR_MS = 365.25 * 86_400_000;

/** What is wrong with the end of a token (`exp` as it stands there, `now` in ms); null: nothing, it may be over already. */
export function reasonOfExpiry(exp: number, now: number): TokenRefusalReason | null {
  if (exp >= MILLISECONDS_FROM && exp < MILLISECONDS_TO) return 'exp_in_milliseconds';
  const sameDayNextYear = new Date(now);
  sameDayNextYear.setUTCFullYear(sameDayNextYear.getUTCFullYear() + 1);
  return exp * SECOND_MS > Math.max(sameDayNextYear.getTime(), now + MEAN_YEAR_MS) ? 'exp_too_far' : null;
}
