import type { Config } from '../../config/config.ts';
import { RollcallError, socketErrorBody } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { SessionState } from '../../presence/session.ts';
import {
  CLIENT_EVENT_NAMES,
  type ClientEvent,
  type ClientRequest,
  type ClientSays,
  rowOf,
} from '../../protocol/client-events.ts';
import { unknownName } from '../../protocol/near-names.ts';
import type { Refusal, SocketError } from '../../protocol/socket.ts';
import { LIMITS } from '../../protocol/vocabulary.ts';
import type { Stores } from '../../stores.ts';
import type { Activations } from '../../usecases/activations.ts';
import { iso } from '../../usecases/payloads.ts';
import type { Presence } from '../../usecases/presence.ts';
import { expiryMs } from '../../usecases/presence-api.ts';
import { actsFor, requireReader } from '../auth/rights.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { Limits } from '../limits/limits.ts';
import type { WebMetrics } from '../operations/metrics.ts';
import type { Connection } from '../sessions/connection.ts';
import type { Connections } from '../sessions/connections.ts';
import { parse } from '../validation.ts';
import type { Audience } from './audience.ts';
import { closeSocket } from './closing.ts';
import type { ConversationRooms } from './conversation-rooms.ts';
import { sendGathered } from './frames.ts';
import { leave } from './handshake.ts';
import { HeartbeatLimit, type HeartbeatVerdict } from './heartbeat-limit.ts';
import { type InOrder, inOrder, type RoomsInOrder, roomsInOrder } from './in-order.ts';
import { Intake, TOO_LARGE } from './intake.ts';
import { EventLimits } from './limits.ts';
import { answerOf } from './pictures.ts';
import type { RoomMembers } from './room-members.ts';
import { LEAST_LEFT_MS, type TokenBearer, unwatchToken, watchToken } from './token-watch.ts';
import type { PresenceSocket } from './types.ts';

export interface HandlerDeps {
  config: Config;
  log: Logger;
  tokens: Tokens;
  limits: Limits;
  activations: Activations;
  presence: Presence;
  connections: Connections;
  audience: Audience;
  conversationRooms: ConversationRooms;
  roomMembers: RoomMembers;
  metrics: WebMetrics;
  stores: Pick<Stores, 'tracing'>;
}

/** What is kept of a client that speaks. The handlers are shared by all of them: there may be very many. */
interface Speaker extends TokenBearer {
  readonly heartbeats: HeartbeatLimit;
  readonly allowed: EventLimits;
  /** Details are set one after the other, so that the last that was said is the one that holds. */
  detailsInOrder: InOrder | null;
  /** What is said of conversations is done one after the other, so that who starts to type right behind a join is in. */
  conversationsInOrder: InOrder | null;
  /** So is what is said of rooms, but for coming to several and leaving several. */
  roomsInOrder: RoomsInOrder | null;
}

type Handler<Request, Result> = (from: Speaker, request: Request, acknowledged: boolean) => Promise<Result> | Result;
type Handlers = { [E in ClientEvent]: Handler<ClientRequest<E>, Done<E>> };
/** What the acknowledgement says, and what happens once it is on its way. */
type Done<E extends ClientEvent> =
  | { answer: ClientSays<E> | Refusal; after?: () => void }
  // Where there is nothing to say beside `ok`.
  | (object extends ClientSays<E> ? { answer?: never; after: () => void } | undefined : never);
type Acknowledge = (answer: object) => void;

const EVENT_TOO_LARGE = `An event has at most ${LIMITS.eventBytes / 1024} KiB, unless it carries a list of users.`;

/** Everything a connected client can say. Returns what begins to listen to one. */
export function createListener(deps: HandlerDeps): (socket: PresenceSocket) => void {
  const { log, limits, conversationRooms, stores } = deps;
  const beat = createBeat(deps);
  const handlers = createHandlers(deps, beat);

  const respond = async (from: Speaker, event: ClientEvent, sent: unknown[]) => {
    const acknowledge = acknowledgementIn(sent);
    try {
      const said = acknowledge === sent[0] ? undefined : sent[0];
      const row = rowOf(event);
      if (said === TOO_LARGE)
        throw new RollcallError(row.tooLarge ?? 'PAYLOAD_TOO_LARGE', { message: EVENT_TOO_LARGE });
      // To a schema bytes are an object like any other, and would pass for an empty one.
      if (Buffer.isBuffer(said)) throw new RollcallError('INVALID_REQUEST');
      const admitted = from.allowed.admit(event, said, () => parse<unknown>(row.request, said));
      // Awaited only where there is something to wait for: what was said first is done first.
      const request = admitted instanceof Promise ? await admitted : admitted;
      const handle = handlers[event] as Handler<unknown, Done<ClientEvent>>;
      const doing = row.traced
        ? stores.tracing.event(event, async () => handle(from, request, acknowledge !== null))
        : handle(from, request, acknowledge !== null);
      const done = doing instanceof Promise ? await doing : doing;
      sendGathered();
      acknowledge?.({ ok: true, ...done?.answer });
      done?.after?.();
    } catch (error) {
      if (!(error instanceof RollcallError)) log.error({ err: error, event }, 'An event could not be handled');
      acknowledge?.({ ok: false, error: socketErrorBody(error) });
    }
  };

  return (socket) => {
    const from: Speaker = {
      socket,
      heartbeats: new HeartbeatLimit(socket.data.connection?.times.minIntervalMs ?? deps.config.heartbeatMinIntervalMs),
      allowed: new EventLimits(socket, limits),
      tokenExpiresAt: 0,
      tokenTimer: undefined,
      detailsInOrder: null,
      conversationsInOrder: null,
      roomsInOrder: null,
    };
    watchToken(from, socket.data.caller.expiresAt);
    // `on`, as it comes once: of what is heard only once Node keeps twice as much.
    socket.on('disconnect', (reason) => {
      leave(socket, deps.connections, reason);
      unwatchToken(from);
      // What cannot be told now ends by itself within seconds.
      conversationRooms.end(socket).catch(() => {});
    });
    Intake.letIn(socket, from.allowed, () => {
      if (socket.data.connection) beat(from, socket.data.connection, null);
    });
    socket.onAny((event: string, ...sent: unknown[]) => {
      if (Object.hasOwn(handlers, event)) void respond(from, event as ClientEvent, sent);
      else acknowledgementIn(sent)?.({ ok: false, error: unknownEvent(event) });
    });
  };
}

function acknowledgementIn(sent: unknown[]): Acknowledge | null {
  const last = sent.at(-1);
  return typeof last === 'function' ? (last as Acknowledge) : null;
}

/** A client that waits for an answer is told that there will be none. */
function unknownEvent(event: string): SocketError {
  const message = `The event ${unknownName(event, CLIENT_EVENT_NAMES)}`;
  return socketErrorBody(new RollcallError('INVALID_REQUEST', { message }));
}

type Beat = ReturnType<typeof createBeat>;

/** A heartbeat of a connection, if it does not come too soon. `told` is called once Redis has it. */
function createBeat({ connections, metrics }: HandlerDeps) {
  return (
    { socket, heartbeats }: Speaker,
    connection: Connection,
    state: SessionState | null,
    told: (() => void) | null = null,
  ): HeartbeatVerdict => {
    const verdict = heartbeats.judge();
    metrics.heartbeat(verdict.accepted ? 'accepted' : 'limited');
    if (verdict.tooMany) closeSocket(socket, 'rate_limited', verdict.retryAfterMs);
    if (verdict.accepted) connections.beat(connection, state, told);
    return verdict;
  };
}

function createHandlers(deps: HandlerDeps, beat: Beat): Handlers {
  const { config, tokens, activations, presence, connections, audience, conversationRooms, roomMembers } = deps;
  const talking = (from: Speaker) => {
    from.conversationsInOrder ??= inOrder();
    return from.conversationsInOrder;
  };
  const inRooms = (from: Speaker) => {
    from.roomsInOrder ??= roomsInOrder();
    return from.roomsInOrder;
  };
  return {
    heartbeat: (from, request, acknowledged) => {
      const { connection } = from.socket.data;
      const state = request?.state ?? null;
      const nextInMs = connection?.times.intervalMs ?? config.heartbeatIntervalMs;
      const answer = () => ({ answer: { serverTime: iso(Date.now()), nextInMs } });
      if (!connection) return answer();
      const tooSoon = ({ accepted, retryAfterMs }: HeartbeatVerdict) =>
        accepted ? null : new RollcallError('HEARTBEAT_TOO_SOON', { retryAfterMs });
      if (acknowledged) {
        return new Promise((resolve, reject) => {
          const error = tooSoon(beat(from, connection, state, () => resolve(answer())));
          if (error) reject(error);
        });
      }
      beat(from, connection, state);
      return answer();
    },
    watch: async ({ socket }, { userIds }) => {
      const picture = await audience.look(socket.data.viewer, userIds);
      return { answer: answerOf(picture), after: () => audience.show(picture) };
    },
    unwatch: ({ socket }, { userIds }) => {
      audience.unwatch(socket.data.viewer, userIds);
      return undefined;
    },
    set_status: async ({ socket }, { status, userId: named, expiresInSeconds }) => {
      const { caller } = socket.data;
      const userId = actsFor(caller, named);
      const claims = caller.service === null ? caller.claims : null;
      const choice = { status, expiresInMs: expiryMs(status, expiresInSeconds) };
      return { answer: await activations.setStatus(userId, choice, claims) };
    },
    set_detail: async (from, request) => {
      const { connection } = from.socket.data;
      if (!connection) throw new RollcallError('FORBIDDEN', { message: 'A service has no detail of its own.' });
      const set = () => presence.details.say(connection.userId, request, () => connections.restore(connection));
      from.detailsInOrder ??= inOrder();
      return { answer: { detail: await from.detailsInOrder(set) } };
    },
    logout: async ({ socket }, request) => {
      const { connection } = socket.data;
      if (!connection) return { after: () => closeSocket(socket, 'logout') };
      if (request?.everywhere) await presence.logOut(connection.userId, null, null);
      else await presence.endSession(connection.userId, connection.sessionId, connection.conn);
      return { after: () => connections.close([connection.conn], 'logout') };
    },
    join_conversation: async (from, { conversationId }) => {
      const { socket } = from;
      const doing = await talking(from)(() => conversationRooms.join(socket, conversationId));
      return {
        after: () => {
          for (const change of doing) socket.emit('indicator_change', change);
        },
      };
    },
    leave_conversation: async (from, { conversationId }) => {
      await talking(from)(() => conversationRooms.leave(from.socket, conversationId));
      return undefined;
    },
    start_indicator: async (from, { conversationId, kind }) => {
      await talking(from)(() => conversationRooms.start(from.socket, conversationId, kind));
      return undefined;
    },
    stop_indicator: async (from, { conversationId, kind }) => {
      await talking(from)(() => conversationRooms.stop(from.socket, conversationId, kind));
      return undefined;
    },
    join_room: async (from, { roomId, data }) => {
      const look = await inRooms(from).beside(roomId, () => roomMembers.join(from.socket, roomId, data));
      return { answer: { room: look.room }, after: () => roomMembers.audience.show(look) };
    },
    update_room: async (from, { roomId, data }) => {
      const saidAt = performance.now();
      await inRooms(from).alone(() => roomMembers.update(from.socket, roomId, data, saidAt));
      return undefined;
    },
    leave_room: async (from, { roomId }) => {
      await inRooms(from).beside(roomId, () => roomMembers.leave(from.socket, roomId));
      return undefined;
    },
    watch_room: async (from, { roomId }) => {
      const look = await inRooms(from).alone(() => roomMembers.watch(from.socket, roomId));
      return { answer: { room: look.room }, after: () => roomMembers.audience.show(look) };
    },
    unwatch_room: async (from, { roomId }) => {
      await inRooms(from).alone(async () => roomMembers.unwatch(from.socket, roomId));
      return undefined;
    },
    authenticate: async (from, { token }) => {
      const { socket } = from;
      const { caller, address } = socket.data;
      const fresh = await tokens.checkPatiently(token, address, LEAST_LEFT_MS);
      if (fresh.userId !== caller.userId) {
        const error = new RollcallError('FORBIDDEN', {
          message: 'The token is of somebody else; connect anew with it.',
        });
        // Not one of the reasons to come back: whoever holds two people's tokens would do so for ever.
        return { after: () => closeSocket(socket, 'logout'), answer: { ok: false, error: socketErrorBody(error) } };
      }
      if ((fresh.service === null) !== (caller.service === null)) {
        throw new RollcallError('FORBIDDEN', { message: 'The token is of another kind; connect anew with it.' });
      }
      requireReader(fresh);
      socket.data.caller = fresh;
      watchToken(from, fresh.expiresAt);
      if (socket.data.rooms !== null) await inRooms(from).alone(() => roomMembers.recheck(socket));
      return undefined;
    },
  };
}
