interface ErrorKind {
  /** HTTP status of a REST answer. */
  statusCode: number;
  /** Whether the same request may succeed later, unchanged. */
  retry: boolean;
  /**
   * How a socket whose handshake was refused with it comes back: `soon`, as after any loss (with a fresh token where that one
   * was at its end); `slowly`, since somebody has to do something before it can go well; `never`, since the same handshake
   * would be refused for ever. Null: no handshake is refused with it.
   */
  reconnect: 'soon' | 'slowly' | 'never' | null;
  /** What is said where the place that fails has nothing more exact to say. */
  message: string;
}

/** Every code that leaves the service. `INTERNAL_ERROR` stands for its own faults and says nothing of them. */
export const ERRORS = {
  UNAUTHENTICATED: { statusCode: 401, retry: false, reconnect: 'slowly', message: 'A valid token is required.' },
  TOKEN_EXPIRED: { statusCode: 401, retry: false, reconnect: 'soon', message: 'The token has expired.' },
  FORBIDDEN: { statusCode: 403, retry: false, reconnect: 'never', message: 'This token does not allow that.' },
  USER_NOT_FOUND: { statusCode: 404, retry: false, reconnect: null, message: 'Nobody with this id is known.' },
  SESSION_NOT_FOUND: { statusCode: 404, retry: false, reconnect: null, message: 'There is no such session.' },
  NOT_FOUND: { statusCode: 404, retry: false, reconnect: null, message: 'There is no such route.' },
  INVALID_REQUEST: { statusCode: 400, retry: false, reconnect: 'never', message: 'The request is not valid.' },
  UNSUPPORTED_PROTOCOL: {
    statusCode: 400,
    retry: false,
    reconnect: 'never',
    message: 'This server speaks another version of the protocol; its data names those it speaks in `supported`.',
  },
  INVALID_USER_ID: {
    statusCode: 400,
    retry: false,
    reconnect: 'never',
    message: 'A user id has 1 to 128 characters out of A-Z a-z 0-9 . _ - @ | + : ~',
  },
  CURSOR_TOO_OLD: {
    statusCode: 410,
    retry: false,
    reconnect: null,
    message: 'What came after this cursor is not kept any more: take a fresh snapshot, and go on from a cursor of now.',
  },
  PAYLOAD_TOO_LARGE: { statusCode: 413, retry: false, reconnect: 'slowly', message: 'The payload is too large.' },
  TOO_MANY_WATCHED: { statusCode: 400, retry: false, reconnect: 'never', message: 'Too many users are being watched.' },
  TOO_MANY_SESSIONS: {
    statusCode: 409,
    retry: false,
    reconnect: 'slowly',
    message: 'This user has too many sessions.',
  },
  TOO_MANY_SOURCES: {
    statusCode: 409,
    retry: false,
    reconnect: null,
    message: 'Too many sources say something of this user: end one first.',
  },
  TOO_MANY_ROOMS: {
    statusCode: 409,
    retry: false,
    reconnect: 'slowly',
    message: 'This session, or this user, is in too many rooms.',
  },
  TOO_MANY_BLOCKS: { statusCode: 409, retry: false, reconnect: null, message: 'This user blocks too many others.' },
  TOO_MANY_FRIENDS: {
    statusCode: 409,
    retry: false,
    reconnect: null,
    message: 'This user has too many friends for settings that say friends.',
  },
  HEARTBEAT_TOO_SOON: { statusCode: 429, retry: true, reconnect: null, message: 'The last heartbeat is too recent.' },
  RATE_LIMITED: { statusCode: 429, retry: true, reconnect: 'soon', message: 'Too many requests.' },
  UNAVAILABLE: { statusCode: 503, retry: true, reconnect: 'soon', message: 'The answer cannot be known right now.' },
  INTERNAL_ERROR: { statusCode: 500, retry: false, reconnect: 'soon', message: 'Something went wrong on our side.' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;
