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

/** Whatever `getToken` threw as a PresenceError. It goes by the name, since there may be two copies of the class. */
export function toPresenceError(thrown: unknown): PresenceError {
  if ((thrown as Error | undefined)?.name === 'PresenceError') return thrown as PresenceError;
  return new PresenceError('TOKEN_UNAVAILABLE', thrown instanceof Error ? thrown.message : String(thrown));
}

/**
 * Whether a handshake that was refused with a code is not to be tried again soon: true, never; false, slowly. (With too many watched the next
 * handshake names fewer.) As the server's table says it; beginnings of names, for the names would make the package larger.
 */
export function isFinal(code: string): boolean | undefined {
  if (/^(FORB|INVALID|UNSUPP)/.test(code)) return true;
  return /^(UNAUTH|TOO_MANY_[RS]|PAYLOAD)/.test(code) ? false : undefined;
}
