/** A refusal by the server (its code), or `NOT_CONNECTED`, `TIMEOUT` and `TOKEN_UNAVAILABLE` from this side. */
export class PresenceError extends Error {
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, retryAfterMs?: number) {
    super(message);
    this.name = 'PresenceError';
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

/** Whatever was thrown, as something with a code. */
export function toPresenceError(thrown: unknown, code = 'INTERNAL_ERROR'): PresenceError {
  if (thrown instanceof PresenceError) return thrown;
  return new PresenceError(code, thrown instanceof Error ? thrown.message : String(thrown));
}

/** Refusals that the same request would only get again. */
export const FINAL_CODES = /^(FORBIDDEN|INVALID_|UNSUPPORTED_)/;
/** Refusals that end when the backend gives a better token, or another session ends. */
export const SLOW_CODES = ['UNAUTHENTICATED', 'TOO_MANY_SESSIONS', 'PAYLOAD_TOO_LARGE'];
