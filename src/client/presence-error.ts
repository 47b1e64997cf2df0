import type { CodeThatComesBack } from '../protocol/errors.ts';

/** A refusal by the server (its code), or `NOT_CONNECTED`, `TIMEOUT` and `TOKEN_UNAVAILABLE` from this side. */
export class PresenceError extends Error {
  override readonly name = 'PresenceError';
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** As the server says it. */
export function toldError({
  code,
  message,
  retryAfterMs,
}: {
  code: string;
  message: string;
  retryAfterMs?: number | undefined;
}): PresenceError {
  return new PresenceError(code, message, retryAfterMs);
}

/** Whatever was thrown as a PresenceError; `code` is for what has none. It goes by the name, since there may be two copies of the class. */
export function toPresenceError(thrown: unknown, code = 'INTERNAL_ERROR'): PresenceError {
  if ((thrown as Error | undefined)?.name === 'PresenceError') return thrown as PresenceError;
  return new PresenceError(code, thrown instanceof Error ? thrown.message : String(thrown));
}

/**
 * The codes of refused handshakes that the server's table says are not to be tried again soon: true, never (with too many
 * watched the next handshake names fewer, and it names no rooms); false, slowly. Written out, for the whole table would make the package larger;
 * the compiler holds the two together.
 */
export const IS_FINAL: { readonly [code: string]: boolean | undefined } = {
  FORBIDDEN: true,
  INVALID_REQUEST: true,
  INVALID_USER_ID: true,
  UNSUPPORTED_PROTOCOL: true,
  UNAUTHENTICATED: false,
  TOO_MANY_SESSIONS: false,
  PAYLOAD_TOO_LARGE: false,
} satisfies { [Code in Exclude<CodeThatComesBack<'never'>, 'TOO_MANY_WATCHED'>]: true } & {
  [Code in Exclude<CodeThatComesBack<'slowly'>, 'TOO_MANY_ROOMS'>]: false;
};
