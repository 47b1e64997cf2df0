import type { z } from 'zod';
import type { ClientAnswer, ClientEvent, ClientRequest, HandshakeAuth, SERVER_EVENTS, ServerEvent } from './socket.ts';

/** What is said over sockets, for their description; a test holds each against its schema. */

const NOON = '2026-01-31T12:00:00.000Z';
const CHANGE = { userId: 'ada', status: 'active', lastSeen: NOON, version: 1769860800120 } as const;
const LEFT = { userId: 'grace', status: 'inactive', lastSeen: NOON, version: 1769860800131 } as const;
const NEVER_CAME = { userId: 'grace', status: 'inactive', lastSeen: null, version: 0 } as const;

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

export const SAID: { readonly [E in ClientEvent]: ClientRequest<E> } = {
  heartbeat: { state: 'active' },
  watch: { userIds: ['ada', 'grace'] },
  unwatch: { userIds: ['grace'] },
  set_status: { status: 'inactive', expiresInSeconds: 3600 },
  set_detail: { availability: 'busy', text: 'In a meeting', expiresInSeconds: 1800 },
  logout: { everywhere: true },
  authenticate: { token: '<jwt>' },
  join_conversation: { conversationId: 'team' },
  leave_conversation: { conversationId: 'team' },
  start_indicator: { conversationId: 'team', kind: 'typing' },
  stop_indicator: { conversationId: 'team', kind: 'typing' },
};

export const ANSWERED: { readonly [E in ClientEvent]: ClientAnswer<E> } = {
  heartbeat: { ok: true, serverTime: NOON, nextInMs: 30_000 },
  watch: { ok: true, users: [CHANGE, NEVER_CAME] },
  unwatch: { ok: true },
  set_status: { ok: true, userId: 'ada', status: 'inactive', lastSeen: NOON },
  set_detail: { ok: true, detail: { availability: 'busy', text: 'In a meeting' } },
  logout: { ok: true },
  authenticate: { ok: true },
  join_conversation: { ok: true },
  leave_conversation: { ok: true },
  start_indicator: { ok: true },
  stop_indicator: { ok: true },
};

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
