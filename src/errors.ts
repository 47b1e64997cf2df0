import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from './protocol/errors.ts';

export interface ErrorDetails {
  /** Said to the other side instead of the code's own sentence. */
  message?: string | undefined;
  /** When trying again makes sense, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** The versions of the protocol that are spoken here, where that is what is wrong. */
  supported?: number[];
  /** For the log; never sent. */
  cause?: unknown;
}

/** An error the other side is meant to see. */
export class RollcallError extends Error {
  readonly code: ErrorCode;
  readonly statusCode: number;
  readonly retryAfterMs?: number;
  readonly supported?: number[];

  constructor(code: ErrorCode, { message, retryAfterMs, supported, cause }: ErrorDetails = {}) {
    super(message ?? ERRORS[code].message, cause === undefined ? undefined : { cause });
    this.name = 'RollcallError';
    this.code = code;
    this.statusCode = ERRORS[code].statusCode;
    if (retryAfterMs !== undefined) this.retryAfterMs = Math.max(0, Math.ceil(retryAfterMs));
    if (supported !== undefined) this.supported = supported;
  }
}

export interface HttpErrorBody {
  statusCode: number;
  code: ErrorCode;
  error: string;
  message: string;
}

export interface SocketErrorBody {
  code: ErrorCode;
  message: string;
  retryAfterMs?: number;
  supported?: number[];
}

/** Anything that was thrown, as an error the other side may see: what is not ours becomes `INTERNAL_ERROR`. */
export function toRollcallError(thrown: unknown): RollcallError {
  return thrown instanceof RollcallError ? thrown : new RollcallError('INTERNAL_ERROR', { cause: thrown });
}

/** The body of a REST answer, in Fastify's shape. */
export function httpErrorBody(thrown: unknown): HttpErrorBody {
  const { statusCode, code, message } = toRollcallError(thrown);
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message };
}

/** The value of `Retry-After`, in whole seconds and never 0; undefined where there is nothing to wait for. */
export function retryAfterSeconds(error: RollcallError): number | undefined {
  if (error.retryAfterMs !== undefined) return Math.max(1, Math.ceil(error.retryAfterMs / 1000));
  return error.code === 'RATE_LIMITED' || error.code === 'UNAVAILABLE' ? 1 : undefined;
}

/** The `error` of an acknowledgement and the `data` of a `connect_error`. */
export function socketErrorBody(thrown: unknown): SocketErrorBody {
  const { code, message, retryAfterMs, supported } = toRollcallError(thrown);
  return {
    code,
    message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(supported === undefined ? {} : { supported }),
  };
}
