import type { z } from 'zod';
import type { HandshakeAuth, SERVER_EVENTS, ServerEvent } from './socket.ts';

/** What the server says over sockets, and what handshakes say, for their description; a test holds each against its schema. */

const NOON = '2026-01-31T12:00:00.000Z';
const CHANGE = { userId: 'ada', status: 'active', lastSeen: NOON, version: 1769860800120 } as const;
const LEFT = { userId: 'grace', status: 'inactive', lastSeen: NOON, version: 1769860800131 } as const;

export const HANDSHAKES: readonly HandshakeAuth[] = [
  { token: '<jwt>' },
  {
    token: '<jwt>',
    deviceId: 'laptop-1',
    device: { kind: 'web', name: 'Firefox' },
    watch: ['ada', 'grace'],
    batch: true,
    heartbeat: 'pong',
  },
];

export const TOLD: { readonly [E in ServerEvent]: z.infer<(typeof SERVER_EVENTS)[E]> } = {
  ready: {
    userId: 'ada',
    sessionId: 'd3fW0mT8kQzXn5vJ2hLbYc',
    protocol: 1,
    heartbeatIntervalMs: 30_000,
    ttlMs: 60_000,
    serverTime: NOON,
    users: [LEFT],
  },
  user_status_change: { ...CHANGE, detail: { availability: 'busy' } },
  user_status_changes: { changes: [CHANGE, LEFT] },
  indicator_change: { conversationId: 'team', userId: 'ada', kind: 'typing', active: true },
  token_expiring: { expiresAt: NOON },
  friend_active: { userId: 'ada', at: NOON },
  room_change: {
    roomId: 'doc:42',
    version: 1769860800131,
    joined: [{ userId: 'ada', since: NOON, data: { page: 3 } }],
    changed: [],
    left: [{ userId: 'grace' }],
    count: 1,
  },
  room_closed: { roomId: 'doc:42', reason: 'kicked' },
  session_closed: { reason: 'draining', reconnect: true, afterMs: 2150 },
};

/** What a handshake or an event may be refused with. */
export const REFUSED = {
  HEARTBEAT_TOO_SOON: {
    code: 'HEARTBEAT_TOO_SOON',
    message: 'The last heartbeat is too recent.',
    retryAfterMs: 3200,
  },
  INVALID_REQUEST: { code: 'INVALID_REQUEST', message: 'The request is not valid.' },
  TOKEN_EXPIRED: { code: 'TOKEN_EXPIRED', message: 'The token has expired.' },
  RATE_LIMITED: { code: 'RATE_LIMITED', message: 'Too many requests.', retryAfterMs: 8400 },
} as const;
