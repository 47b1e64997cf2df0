import { STATUS_CODES } from 'node:http';

interface ErrorKind {
  /** HTTP status of a REST answer. */
  statusCode: number;
  /** Whether the same request may succeed later, unchanged. */
  retry: boolean;
  /** Whether a socket refused with this code should come back (with a fresh token where the token was the reason). */
  reconnect: boolean;
  /** What is said where the place that fails has nothing more exact to say. */
  message: string;
}

/** Every code that leaves this service. `INTERNAL_ERROR` stands for our own faults and says nothing of them. */
export const ERRORS = {
  UNAUTHENTICATED: { statusCode: 401, retry: false, reconnect: false, message: 'A valid token is required.' },
  TOKEN_EXPIRED: { statusCode: 401, retry: false, reconnect: true, message: 'The token has expired.' },
  FORBIDDEN: { statusCode: 403, retry: false, reconnect: false, message: 'This token does not allow that.' },
  USER_NOT_FOUND: { statusCode: 404, retry: false, reconnect: false, message: 'Nobody with this id is known.' },
  SESSION_NOT_FOUND: { statusCode: 404, retry: false, reconnect: false, message: 'There is no such session.' },
  NOT_FOUND: { statusCode: 404, retry: false, reconnect: false, message: 'There is no such route.' },
  INVALID_REQUEST: { statusCode: 400, retry: false, reconnect: false, message: 'The request is not valid.' },
  UNSUPPORTED_PROTOCOL: {
    statusCode: 400,
    retry: false,
    reconnect: false,
    message: 'This server speaks another version of the protocol; its data names those it speaks in `supported`.',
  },
  INVALID_USER_ID: {
    statusCode: 400,
    retry: false,
    reconnect: false,
    message: 'A user id has 1 to 128 characters out of A-Z a-z 0-9 . _ - @ | + : ~',
  },
  CURSOR_TOO_OLD: {
    statusCode: 410,
    retry: false,
    reconnect: false,
    message: 'What came after this cursor is not kept any more: take a fresh snapshot, and go on from a cursor of now.',
  },
  PAYLOAD_TOO_LARGE: { statusCode: 413, retry: false, reconnect: false, message: 'The payload is too large.' },
  TOO_MANY_WATCHED: { statusCode: 400, retry: false, reconnect: false, message: 'Too many users are being watched.' },
  TOO_MANY_SESSIONS: { statusCode: 409, retry: false, reconnect: false, message: 'This user has too many sessions.' },
  TOO_MANY_BLOCKS: { statusCode: 409, retry: false, reconnect: false, message: 'This user blocks too many others.' },
  TOO_MANY_FRIENDS: {
    statusCode: 409,
    retry: false,
    reconnect: false,
    message: 'This user has too many friends for settings that say friends.',
  },
  HEARTBEAT_TOO_SOON: { statusCode: 429, retry: true, reconnect: true, message: 'The last heartbeat is too recent.' },
  RATE_LIMITED: { statusCode: 429, retry: true, reconnect: true, message: 'Too many requests.' },
  UNAVAILABLE: { statusCode: 503, retry: true, reconnect: true, message: 'The answer cannot be known right now.' },
  INTERNAL_ERROR: { statusCode: 500, retry: false, reconnect: true, message: 'Something went wrong on our side.' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

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
