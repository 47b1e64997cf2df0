import { z } from 'zod';
import { CAUSES } from '../presence/change.ts';
import { greeting } from './requests.ts';
import { NamedRoom, Room, RoomChange, RoomClosed } from './rooms.ts';
import { DeviceKind, Id, LIMITS, line, ShownDetail, Time, UserId, UserIdList, VersionedStatus } from './vocabulary.ts';

/** The version of this protocol. It changes only when an older client would misread something. */
export const PROTOCOL = 1;

const CONNECT_OPTIONS = {
  protocol: z.literal(PROTOCOL).optional().meta({ description: 'The version of the protocol; absent means 1' }),
  deviceId: Id.optional().meta({
    description:
      'Names the device for good: its session is found again, and an older connection of it is closed (`replaced`)',
  }),
  device: greeting({ kind: DeviceKind, name: line(LIMITS.deviceNameCharacters).optional() })
    .optional()
    .meta({ description: 'What the user sees of it in their list of sessions' }),
  ttlSeconds: z
    .number()
    .min(LIMITS.leastTtlSeconds)
    .max(LIMITS.socketTtlSeconds)
    .optional()
    .meta({ description: 'For how long a heartbeat of this session holds, whatever is configured' }),
  watch: UserIdList.optional().meta({ description: 'Whom to be told of; `ready` answers with a picture of them' }),
  rooms: z
    .array(NamedRoom)
    .max(LIMITS.idsInList)
    .optional()
    .meta({
      description:
        'The rooms the session is in from now on, and no others; `ready` answers with a picture of each. Without it the session stays for 2 s ' +
        'where it was before',
    }),
  appear: z.literal('inactive').optional().meta({
    description:
      'Appear inactive from the first moment, as by `set_status`; passed over where the user has a session already',
  }),
  batch: z
    .boolean()
    .optional()
    .meta({ description: 'Several changes in one `user_status_changes` where many come at once' }),
  heartbeat: z
    .enum(['event', 'pong'])
    .optional()
    .meta({ description: '`pong`: every answer to the server’s ping counts as a heartbeat, and none need be sent' }),
};

/** What a handshake may say beside the token, which is looked at first. */
export const ConnectOptions = greeting(CONNECT_OPTIONS);
export const CONNECT_OPTION_NAMES = Object.keys(CONNECT_OPTIONS);
export type ConnectOptions = z.infer<typeof ConnectOptions>;

export const HandshakeAuth = greeting({
  token: z.string().min(1).meta({ description: 'A JWT that your backend has signed for the user' }),
  ...CONNECT_OPTIONS,
});
export type HandshakeAuth = z.infer<typeof HandshakeAuth>;

export const IndicatorKind = z.enum(['typing', 'recording_audio']);

/** A status as a snapshot has it; `detail` where there is one. */
export const WatchedUser = VersionedStatus.extend({ detail: ShownDetail.optional() });
export type WatchedUser = z.infer<typeof WatchedUser>;

/** A status as an event tells it; `detail` where it changed. */
export const StatusChange = WatchedUser.extend({
  cause: z.enum(CAUSES).exclude(['privacy']).optional().meta({
    description: 'Why, for the user itself and for services; not where what is true is told anew',
  }),
});
export type StatusChange = z.infer<typeof StatusChange>;

export const StatusChanges = z.object({ changes: z.array(StatusChange).min(1) });
export type StatusChanges = z.infer<typeof StatusChanges>;

/** Comes first after connecting. An observer (a service token) has no session of its own. */
export const Ready = z.object({
  protocol: z.literal(PROTOCOL),
  userId: UserId,
  sessionId: Id.nullable(),
  heartbeatIntervalMs: z.number().positive(),
  ttlMs: z.number().positive(),
  serverTime: Time,
  users: z.array(WatchedUser).optional(),
  rooms: z.array(Room).optional().meta({ description: 'One for each that the handshake named' }),
});
export type Ready = z.infer<typeof Ready>;

export const IndicatorChange = z.object({
  conversationId: Id,
  userId: UserId,
  kind: IndicatorKind,
  active: z.boolean(),
});
export type IndicatorChange = z.infer<typeof IndicatorChange>;

export const TokenExpiring = z.object({ expiresAt: Time });
export type TokenExpiring = z.infer<typeof TokenExpiring>;

export const FriendActive = z.object({ userId: UserId, at: Time });
export type FriendActive = z.infer<typeof FriendActive>;

export const CloseReason = z.enum(['logout', 'replaced', 'token_expired', 'rate_limited', 'draining']);
export type CloseReason = z.infer<typeof CloseReason>;

export const SessionClosed = z.object({
  reason: CloseReason,
  reconnect: z.boolean(),
  afterMs: z.number().nonnegative().optional(),
});
export type SessionClosed = z.infer<typeof SessionClosed>;

/** The `error` of an acknowledgement and the `data` of a `connect_error`. */
export const SocketError = z.object({
  code: z.string(),
  message: z.string(),
  retryAfterMs: z.number().nonnegative().optional(),
  supported: z
    .array(z.number())
    .optional()
    .meta({ description: 'Versions of the protocol, with `UNSUPPORTED_PROTOCOL`' }),
});
export type SocketError = z.infer<typeof SocketError>;

export type Refusal = { ok: false; error: SocketError };
/** What an acknowledgement carries. */
export type Answer<T extends object = object> = ({ ok: true } & T) | Refusal;

/** The payloads of what the server says, by event. */
export const SERVER_EVENTS = {
  ready: Ready,
  user_status_change: StatusChange,
  user_status_changes: StatusChanges,
  indicator_change: IndicatorChange,
  token_expiring: TokenExpiring,
  friend_active: FriendActive,
  room_change: RoomChange,
  room_closed: RoomClosed,
  session_closed: SessionClosed,
} as const;
export type ServerEvent = keyof typeof SERVER_EVENTS;

export type ServerToClientEvents = { [E in ServerEvent]: (payload: z.infer<(typeof SERVER_EVENTS)[E]>) => void };
