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

/** Whatever was thrown, as something with a code. */
export function toPresenceError(thrown: unknown, code: string): PresenceError {
  if (thrown instanceof PresenceError) return thrown;
  return new PresenceError(code, thrown instanceof Error ? thrown.message : String(thrown));
}
