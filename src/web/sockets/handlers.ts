import type { Config } from '../../config.ts';
import { RollcallError, socketErrorBody } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { CLIENT_EVENTS, type ClientEvent, type ClientRequest } from '../../protocol/socket.ts';
import type { Services } from '../../services.ts';
import type { Activations } from '../activations.ts';
import type { Authenticator } from '../auth.ts';
import type { Connections } from '../connections.ts';
import type { Limits } from '../limits.ts';
import type { WebMetrics } from '../metrics.ts';
import type { Presence } from '../presence.ts';
import { actsFor, requireReader } from '../rights.ts';
import { expiryMs } from '../routes/status.ts';
import { iso } from '../shown.ts';
import { parse } from '../validation.ts';
import { type Audience, answerOf } from './audience.ts';
import { closeSocket } from './closing.ts';
import { HeartbeatLimit } from './heartbeat-limit.ts';
import { EventLimits } from './limits.ts';
import type { Talks } from './talks.ts';
import { TokenWatch } from './token-watch.ts';
import type { PresenceSocket } from './types.ts';

export interface HandlerDeps {
  config: Config;
  log: Logger;
  auth: Authenticator;
  limits: Limits;
  activations: Activations;
  presence: Presence;
  connections: Connections;
  audience: Audience;
  talks: Talks;
  metrics: WebMetrics;
  services: Pick<Services, 'tracing'>;
}

type Handler<Request> = (request: Request, acknowledged: boolean) => Promise<Done> | Done;
/** What the acknowledgement says, and what happens once it is on its way. */
type Done = { answer?: object; after?: () => void } | undefined;

/** What may change something for others. Heartbeats are too many, and looking on changes nothing. */
const TRACED: ReadonlySet<ClientEvent> = new Set<ClientEvent>([
  'set_status',
  'set_detail',
  'logout',
  'join_conversation',
  'leave_conversation',
  'start_indicator',
  'stop_indicator',
]);

/** Everything a connected client can say. */
export function handleEvents(socket: PresenceSocket, deps: HandlerDeps): void {
  const { config, log, auth, activations, presence, connections, audience, talks, metrics } = deps;
  const { tracing } = deps.services;
  const { viewer, connection } = socket.data;
  const limit = new HeartbeatLimit(config.heartbeatMinIntervalMs);
  const allowed = new EventLimits(socket, deps.limits);
  const tokens = new TokenWatch(socket, () => closeSocket(socket, 'token_expired'));
  tokens.follow(socket.data.caller.expiresAt);
  socket.once('disconnect', () => {
    tokens.stop();
    // What cannot be told now ends by itself within seconds.
    talks.end(socket).catch(() => {});
  });

  // One after the other: the last that was said is the one that holds, and who starts to type right behind a join is in.
  const [detailsInOrder, talksInOrder] = [inOrder(), inOrder()];
  const handlers: { [E in ClientEvent]?: Handler<ClientRequest<E>> } = {
    heartbeat: async (request, acknowledged) => {
      if (connection) {
        const verdict = limit.judge();
        metrics.heartbeat(verdict.accepted ? 'accepted' : 'limited');
        if (verdict.tooMany) closeSocket(socket, 'rate_limited', verdict.retryAfterMs);
        if (!verdict.accepted) throw new RollcallError('HEARTBEAT_TOO_SOON', { retryAfterMs: verdict.retryAfterMs });
        const state = request?.state ?? null;
        if (acknowledged) await new Promise<void>((told) => connections.beat(connection, state, told));
        else connections.beat(connection, state);
      }
      if (!acknowledged) return undefined;
      return { answer: { serverTime: iso(Date.now()), nextInMs: config.heartbeatIntervalMs } };
    },
    watch: async ({ userIds }) => {
      const picture = await audience.look(viewer, userIds);
      return { answer: answerOf(picture), after: () => audience.show(picture) };
    },
    unwatch: ({ userIds }) => {
      audience.unwatch(viewer, userIds);
      return undefined;
    },
    set_status: async ({ status, userId: named, expiresInSeconds }) => {
      const { caller } = socket.data;
      const userId = actsFor(caller, named);
      const claims = caller.service === null ? caller.claims : null;
      return {
        answer: await activations.setStatus(
          userId,
          { status, expiresInMs: expiryMs(status, expiresInSeconds) },
          claims,
        ),
      };
    },
    set_detail: async (request) => {
      if (!connection) throw new RollcallError('FORBIDDEN', { message: 'A service has no detail of its own.' });
      const set = () => presence.setDetail(connection.userId, request, () => connections.restore(connection));
      return { answer: { detail: await detailsInOrder(set) } };
    },
    logout: async (request) => {
      if (!connection) return { after: () => closeSocket(socket, 'logout') };
      if (request?.everywhere) await presence.logOut(connection.userId, null);
      else await presence.endSession(connection.userId, connection.sessionId, connection.conn);
      return { after: () => connections.close([connection.conn], 'logout') };
    },
    join_conversation: async ({ conversationId }) => {
      const doing = await talksInOrder(() => talks.join(socket, conversationId));
      return {
        after: () => {
          for (const change of doing) socket.emit('indicator_change', change);
        },
      };
    },
    leave_conversation: async ({ conversationId }) => {
      await talksInOrder(() => talks.leave(socket, conversationId));
      return undefined;
    },
    start_indicator: async ({ conversationId, kind }) => {
      await talksInOrder(() => talks.start(socket, conversationId, kind));
      return undefined;
    },
    stop_indicator: async ({ conversationId, kind }) => {
      await talksInOrder(() => talks.stop(socket, conversationId, kind));
      return undefined;
    },
    authenticate: async ({ token }) => {
      const { caller } = socket.data;
      const fresh = await auth.verify(token);
      if (fresh.userId !== caller.userId) {
        const error = new RollcallError('FORBIDDEN', {
          message: 'The token is of somebody else; connect anew with it.',
        });
        return { after: () => socket.disconnect(true), answer: { ok: false, error: socketErrorBody(error) } };
      }
      if ((fresh.service === null) !== (caller.service === null)) {
        throw new RollcallError('FORBIDDEN', { message: 'The token is of another kind; connect anew with it.' });
      }
      requireReader(fresh);
      socket.data.caller = fresh;
      tokens.follow(fresh.expiresAt);
      return undefined;
    },
  };

  const respond = async (event: ClientEvent, sent: unknown[]) => {
    const last = sent.at(-1);
    const acknowledge = typeof last === 'function' ? (last as (answer: object) => void) : null;
    try {
      const said = acknowledge === sent[0] ? undefined : sent[0];
      // To a schema bytes are an object like any other, and would pass for an empty one.
      if (Buffer.isBuffer(said)) throw new RollcallError('INVALID_REQUEST');
      // Awaited only where there is something to wait for: what was said first is done first.
      const heard = allowed.heard(event, said);
      if (heard) await heard;
      const request = parse<unknown>(CLIENT_EVENTS[event], said);
      const asked = allowed.asked(event, request);
      if (asked) await asked;
      const handle = handlers[event] as Handler<unknown>;
      const done = TRACED.has(event)
        ? await tracing.event(event, async () => handle(request, acknowledge !== null))
        : await handle(request, acknowledge !== null);
      acknowledge?.({ ok: true, ...done?.answer });
      done?.after?.();
    } catch (error) {
      if (!(error instanceof RollcallError)) log.error({ err: error, event }, 'An event could not be handled');
      acknowledge?.({ ok: false, error: socketErrorBody(error) });
    }
  };
  for (const event of Object.keys(handlers) as ClientEvent[]) {
    socket.on(event, (...sent: unknown[]) => void respond(event, sent));
  }
}

/** Runs what it is given one after the other, whatever became of the one before. */
function inOrder() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}
