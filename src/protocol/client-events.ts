import { z } from 'zod';
import { request } from './requests.ts';
import { JoinRoomRequest, Room, RoomRequest, UpdateRoomRequest } from './rooms.ts';
import { type Answer, IndicatorKind, WatchedUser } from './socket.ts';
import {
  DETAIL_SHAPE,
  Detail,
  ExpirySeconds,
  Id,
  SessionState,
  SetStatusRequest,
  StatusPayload,
  Time,
  UserIdList,
} from './vocabulary.ts';

/**
 * What an event takes from what its sender may do in ten seconds: `event`, one event; `look`, `indicator` and `choice`, one
 * of those besides (a look for every user named); `status`, a choice, and nothing where the status is `active`; `own`,
 * nothing of these, for it has a limit of its own.
 */
export type Cost = 'event' | 'look' | 'indicator' | 'choice' | 'status' | 'own';

/** All there is to say of an event that clients send, but what it does (`src/web/sockets/handlers.ts`). */
interface ClientEventRow {
  request: z.ZodType;
  /** What the acknowledgement says beside `ok`; null: nothing. */
  answer: z.ZodObject | null;
  /** What it is for, in AsyncAPI. */
  says: string;
  cost: Cost;
  /** Whether it may change something for others, who are then told of it in the same trace. */
  traced: boolean;
  /** It carries a list: it may be as large as any packet, all others have LIMITS.eventBytes. */
  list?: true;
  /** What it is refused with above LIMITS.eventBytes; else PAYLOAD_TOO_LARGE. */
  tooLarge?: 'INVALID_REQUEST';
  /** A request, and what the answer to it says beside `ok`. */
  example: [request: object, answer?: object];
}

const NOON = '2026-01-31T12:00:00.000Z';

const UserIds = request({ userIds: UserIdList.min(1) });
const Conversation = request({ conversationId: Id });
const Indicator = request({ conversationId: Id, kind: IndicatorKind });

export const SetDetailRequest = request({ ...DETAIL_SHAPE, expiresInSeconds: ExpirySeconds.optional() });
export type SetDetailRequest = z.infer<typeof SetDetailRequest>;

/** Every event that clients send: handlers, limits, tracing, the client's types and AsyncAPI follow from it. */
export const CLIENT_EVENTS = {
  heartbeat: {
    // Nothing at all keeps the state last said.
    request: request({ state: SessionState.optional() }).nullish(),
    answer: z.object({ serverTime: Time, nextInMs: z.number().positive() }),
    says: 'The client is here; the time to live starts again. Without `state` the one last said stays.',
    cost: 'own',
    // They are too many.
    traced: false,
    example: [{ state: 'active' }, { serverTime: NOON, nextInMs: 30_000 }],
  },
  watch: {
    request: UserIds,
    answer: z.object({
      users: z.array(WatchedUser),
      pending: UserIdList.optional().meta({ description: 'Cannot be known right now; they follow as events' }),
    }),
    says: 'From now on the client is told of these users. The acknowledgement is a snapshot, with no gap before the first event.',
    cost: 'look',
    traced: false,
    list: true,
    example: [
      { userIds: ['ada', 'grace'] },
      {
        users: [
          { userId: 'ada', status: 'active', lastSeen: NOON, version: 1769860800120 },
          { userId: 'grace', status: 'inactive', lastSeen: null, version: 0 },
        ],
      },
    ],
  },
  unwatch: {
    request: UserIds,
    answer: null,
    says: 'From now on the client is no longer told of these users.',
    cost: 'event',
    traced: false,
    list: true,
    example: [{ userIds: ['grace'] }],
  },
  set_status: {
    request: SetStatusRequest,
    answer: StatusPayload,
    says: 'Appear inactive whatever the connections do, or end that.',
    cost: 'status',
    traced: true,
    example: [
      { status: 'inactive', expiresInSeconds: 3600 },
      { userId: 'ada', status: 'inactive', lastSeen: NOON },
    ],
  },
  set_detail: {
    request: SetDetailRequest,
    answer: z.object({ detail: Detail }),
    says: 'What others see beside the status, all of it anew; with nothing in it: nothing any more.',
    cost: 'choice',
    traced: true,
    example: [
      { availability: 'busy', text: 'In a meeting', expiresInSeconds: 1800 },
      { detail: { availability: 'busy', text: 'In a meeting' } },
    ],
  },
  logout: {
    request: request({ everywhere: z.boolean().optional() }).nullish(),
    answer: null,
    says: 'Ends this session, or all of the user’s.',
    cost: 'event',
    traced: true,
    example: [{ everywhere: true }],
  },
  authenticate: {
    request: request({ token: z.string().min(1) }),
    answer: null,
    says:
      'A fresh token of the same kind for the same user. A bad one is refused, and the old one stays in force. One of another user is ' +
      '`FORBIDDEN`, and the socket is closed (`session_closed` with `logout`).',
    cost: 'event',
    traced: false,
    example: [{ token: '<jwt>' }],
  },
  join_conversation: {
    request: Conversation,
    answer: null,
    says: 'Enters a conversation, for members only. Who is typing there now follows as `indicator_change`.',
    cost: 'event',
    traced: true,
    example: [{ conversationId: 'team' }],
  },
  leave_conversation: {
    request: Conversation,
    answer: null,
    says: 'Leaves a conversation; what the client was doing there ends.',
    cost: 'event',
    traced: true,
    example: [{ conversationId: 'team' }],
  },
  start_indicator: {
    request: Indicator,
    answer: null,
    says: 'The user types or records. It ends by itself after 6 s unless repeated.',
    cost: 'indicator',
    traced: true,
    example: [{ conversationId: 'team', kind: 'typing' }],
  },
  stop_indicator: {
    request: Indicator,
    answer: null,
    says: 'The user no longer does.',
    cost: 'indicator',
    traced: true,
    example: [{ conversationId: 'team', kind: 'typing' }],
  },
  join_room: {
    request: JoinRoomRequest,
    answer: z.object({ room: Room }),
    says:
      'This session is in the room, and the client is told of it. Joining again replaces `data` where it is given. The ' +
      'acknowledgement is a picture, with no gap before the first `room_change`.',
    cost: 'event',
    traced: true,
    tooLarge: 'INVALID_REQUEST',
    example: [
      { roomId: 'doc:42', data: { page: 3 } },
      {
        room: {
          roomId: 'doc:42',
          version: 1769860800120,
          count: 1,
          users: [{ userId: 'ada', since: NOON, data: { page: 3 } }],
        },
      },
    ],
  },
  update_room: {
    request: UpdateRoomRequest,
    answer: null,
    says: 'Replaces what others see of this session in the room; ten times a second at most.',
    cost: 'event',
    traced: true,
    tooLarge: 'INVALID_REQUEST',
    example: [{ roomId: 'doc:42', data: { page: 4 } }],
  },
  leave_room: {
    request: RoomRequest,
    answer: null,
    says: 'This session is no longer in the room, and not told of it, unless it asked to watch it.',
    cost: 'event',
    traced: true,
    example: [{ roomId: 'doc:42' }],
  },
  watch_room: {
    request: RoomRequest,
    answer: z.object({ room: Room }),
    says: 'The client is told of the room without being there. The acknowledgement is a picture of it.',
    cost: 'event',
    traced: false,
    example: [{ roomId: 'doc:42' }, { room: { roomId: 'doc:42', version: 1769860800120, count: 0, users: [] } }],
  },
  unwatch_room: {
    request: RoomRequest,
    answer: null,
    says: 'The client is no longer told of the room, unless it is there.',
    cost: 'event',
    traced: false,
    example: [{ roomId: 'doc:42' }],
  },
} as const satisfies Record<string, ClientEventRow>;

type ClientEvents = typeof CLIENT_EVENTS;
export type ClientEvent = keyof ClientEvents;
export const CLIENT_EVENT_NAMES = Object.keys(CLIENT_EVENTS) as ClientEvent[];

/** What is known of an event, whichever it is. */
export function rowOf(event: ClientEvent): ClientEventRow {
  return CLIENT_EVENTS[event];
}

export type ClientRequest<E extends ClientEvent> = z.infer<ClientEvents[E]['request']>;
/** What the acknowledgement of an event that was taken says beside `ok`. */
export type ClientSays<E extends ClientEvent> = ClientEvents[E]['answer'] extends z.ZodType
  ? z.infer<ClientEvents[E]['answer']>
  : object;
export type ClientAnswer<E extends ClientEvent> = Answer<ClientSays<E>>;

/** As a client sees it; the acknowledgement stands here as required, so that `emitWithAck` knows its answers. */
export type ClientToServerEvents = {
  [E in ClientEvent]: (request: ClientRequest<E>, acknowledge: (answer: ClientAnswer<E>) => void) => void;
};

/** As the server sees it: whatever a client sent under a known name, an acknowledgement or not. */
export type IncomingEvents = { [E in ClientEvent]: (...sent: unknown[]) => void };
