/**
 * What failed, by its code: one of Rollcall's, or `TIMEOUT`, `NOT_CONNECTED` (nobody answered), `NOT_ROLLCALL` (somebody
 * else answered, as a proxy does) and `INVALID_SIGNATURE` (a webhook that is not Rollcall's).
 */
export class RollcallError extends Error {
  override readonly name = 'RollcallError';
  readonly code: string;
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  /** When to try again (ms), where the server says it. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, { status = 0, retryAfterMs, cause }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same again later may succeed. */
  get mayPass(): boolean {
    return ['TIMEOUT', 'NOT_CONNECTED', 'UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL_ERROR'].includes(this.code);
  }
}

interface ErrorDetails {
  status?: number | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}
