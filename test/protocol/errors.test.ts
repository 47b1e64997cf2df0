import { describe, expect, test } from 'vitest';
import { httpErrorBody, RollcallError, retryAfterSeconds, socketErrorBody } from '../../src/errors.ts';
import { ERRORS } from '../../src/protocol/errors.ts';

describe('errors', () => {
  test('each code has the HTTP status that was promised', () => {
    const statuses = Object.fromEntries(Object.entries(ERRORS).map(([code, { statusCode }]) => [code, statusCode]));
    expect(statuses).toEqual({
      UNAUTHENTICATED: 401,
      TOKEN_EXPIRED: 401,
      FORBIDDEN: 403,
      USER_NOT_FOUND: 404,
      SESSION_NOT_FOUND: 404,
      NOT_FOUND: 404,
      INVALID_REQUEST: 400,
      UNSUPPORTED_PROTOCOL: 400,
      INVALID_USER_ID: 400,
      CURSOR_TOO_OLD: 410,
      PAYLOAD_TOO_LARGE: 413,
      TOO_MANY_WATCHED: 400,
      TOO_MANY_SOURCES: 409,
      TOO_MANY_ROOMS: 409,
      TOO_MANY_BLOCKS: 409,
      TOO_MANY_FRIENDS: 409,
      TOO_MANY_SESSIONS: 409,
      HEARTBEAT_TOO_SOON: 429,
      RATE_LIMITED: 429,
      UNAVAILABLE: 503,
      INTERNAL_ERROR: 500,
    });
  });

  test('an answer over HTTP has the shape of every other answer of the server', () => {
    expect(httpErrorBody(new RollcallError('USER_NOT_FOUND', { message: 'Who?' }))).toEqual({
      statusCode: 404,
      code: 'USER_NOT_FOUND',
      error: 'Not Found',
      message: 'Who?',
    });
  });

  test('over a socket it says when to try again, where that is known', () => {
    expect(socketErrorBody(new RollcallError('HEARTBEAT_TOO_SOON', { retryAfterMs: 1234.2 }))).toEqual({
      code: 'HEARTBEAT_TOO_SOON',
      message: 'The last heartbeat is too recent.',
      retryAfterMs: 1235,
    });
    expect(socketErrorBody(new RollcallError('FORBIDDEN'))).not.toHaveProperty('retryAfterMs');
  });

  test('a fault of our own tells the other side nothing about itself', () => {
    const fault = new TypeError('cannot read properties of secret');
    for (const body of [httpErrorBody(fault), socketErrorBody(fault)]) {
      expect(body.code).toBe('INTERNAL_ERROR');
      expect(JSON.stringify(body)).not.toContain('secret');
    }
  });

  test('Retry-After is in whole seconds, never 0, and always there when a limit or an outage is the reason', () => {
    expect(retryAfterSeconds(new RollcallError('RATE_LIMITED', { retryAfterMs: 1001 }))).toBe(2);
    expect(retryAfterSeconds(new RollcallError('UNAVAILABLE', { retryAfterMs: 0 }))).toBe(1);
    expect(retryAfterSeconds(new RollcallError('UNAVAILABLE'))).toBe(1);
    expect(retryAfterSeconds(new RollcallError('FORBIDDEN'))).toBeUndefined();
  });

  test('who may come back is told what to retry: nobody is sent away for good by an outage', () => {
    for (const [code, { statusCode, retry, reconnect }] of Object.entries(ERRORS)) {
      if (statusCode !== 429 && statusCode !== 503) continue;
      // Too soon a heartbeat refuses no handshake.
      expect([code, retry, reconnect]).toEqual([code, true, code === 'HEARTBEAT_TOO_SOON' ? null : 'soon']);
    }
  });
});
