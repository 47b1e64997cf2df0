import type { Server as HttpServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import { RollcallError, toRollcallError } from '../../errors.ts';
import { type Service, serviceOf } from '../../lifecycle.ts';
import type { Logger } from '../../log.ts';
import { DeliveryReader } from '../../redis/delivery.ts';
import type { Stores } from '../../stores.ts';
import { Activations } from '../../usecases/activations.ts';
import type { Conversations } from '../../usecases/conversations.ts';
import type { Presence } from '../../usecases/presence.ts';
import type { Rooms as RoomsOfUsers } from '../../usecases/rooms.ts';
import type { Origins } from '../auth/origins.ts';
import type { Tokens } from '../auth/tokens.ts';
import { clientAddress } from '../limits/client-address.ts';
import { ConnectionLimit } from '../limits/connection-limit.ts';
import type { Limits } from '../limits/limits.ts';
import { Pressure } from '../limits/pressure.ts';
import type { WebMetrics } from '../operations/metrics.ts';
import { Connections } from '../sessions/connections.ts';
import { pingEveryMs } from '../sessions/session-times.ts';
import { createAdmission, sendTogether } from './admission.ts';
import { Audience } from './audience.ts';
import { closeSocket } from './closing.ts';
import { letConnectionsGo } from './closing-connections.ts';
import { ConversationRooms } from './conversation-rooms.ts';
import { EventStreams } from './event-streams.ts';
import { holdBack, together } from './frames.ts';
import { createListener } from './handlers.ts';
import { admit, nothingFor, refusalOf, requireHere, takeWelcome } from './handshake.ts';
import { Intake } from './intake.ts';
import { reportPermanentRefusals, type Unconnected } from './permanent-refusals.ts';
import { Pings } from './pings.ts';
import { Resync } from './resync.ts';
import { RoomMembers } from './room-members.ts';
import { Rooms } from './rooms.ts';
import { dropUpgradeResponses, slim } from './slimming.ts';
import { SlowReaders } from './slow-readers.ts';
import { openServer } from './socket-server.ts';
import { tellStrangeOptions } from './strange-options.ts';
import { tracedDelivery } from './traced-delivery.ts';
import { endOnce, oneMessageATurn } from './websocket-library.ts';

const PLACE_LIMIT_MS = 3000;
/** How long the processes take to tell a store that came back what they know. */
const RESYNC_MARGIN_MS = 2000;

export interface GatewayDeps {
  config: Config;
  log: Logger;
  tokens: Tokens;
  limits: Limits;
  origins: Origins;
  presence: Presence;
  conversations: Conversations;
  rooms: RoomsOfUsers;
  stores: Stores;
  metrics: WebMetrics;
}

export interface Gateway extends Service {
  /** Lets all clients go without ending their sessions. Resolves when their transports are closed. */
  drain(): Promise<void>;
  readonly draining: boolean;
  /** Who is told over HTTP. */
  readonly streams: Pick<EventStreams, 'open'>;
  /** How much is shed under load; 0: nothing. */
  readonly level: number;
}

/** Puts Socket.IO in front of the HTTP server. */
export function attachSockets(http: HttpServer, deps: GatewayDeps): Gateway {
  const { config, log, limits, origins, presence, stores, metrics } = deps;
  const addressOf = clientAddress(config.trustProxy);
  const activations = new Activations(presence);
  const admission = createAdmission(origins, limits, addressOf);
  const pressure = new Pressure(
    () => stores.pulse.answerMs,
    (shedLevel) => log.warn({ shedLevel }, 'The level of what is shed under load has changed'),
  );
  const rooms = new Rooms(() => pressure.stretch);
  const conversationRooms = new ConversationRooms(rooms, deps.conversations, log);
  const io = openServer(http, {
    config,
    origins,
    allowRequest: admission.allowRequest,
    left: (socket) => {
      rooms.leave(socket.data.viewer);
      conversationRooms.left(socket);
      roomMembers.left(socket);
    },
  });
  const connectionLimit = new ConnectionLimit(config, addressOf, (why) => metrics.connectionDropped(why));
  connectionLimit.watch(http);
  const refusedForGood = reportPermanentRefusals(log, metrics);
  io.engine.on('connection_error', ({ req, code }: Unconnected) => refusedForGood(req, code));
  admission.attach(http, connectionLimit, refusedForGood);
  oneMessageATurn(io);
  endOnce(io);
  io.engine.on('headers', sendTogether);
  dropUpgradeResponses(io);
  Intake.watch(io);
  const connections = new Connections(presence, stores, config, log, () => pressure.stretch);
  const socketsOf = (userId: string) => rooms.socketsOf(userId);
  const roomMembers = new RoomMembers({ rooms: deps.rooms, connections, config, log, socketsOf });
  const audience = new Audience({
    rooms,
    conversationRooms,
    roomMembers,
    reads: presence.reads,
    connections,
    everyone: config.audience === 'everyone',
    maxWatched: config.maxWatchedUsers,
    delivered: (shard) => reader.delivered(shard),
    everybody: () => stores.deadlines.everybody(),
    now: () => stores.clock.now(),
    missed: () => resync.in(RESYNC_MARGIN_MS),
  });
  const listen = createListener({
    ...deps,
    activations,
    connections,
    audience,
    conversationRooms,
    roomMembers,
  });
  const timed = metrics.timing(audience, () => stores.clock.now());
  const listener = tracedDelivery(timed, stores.tracing);
  const reader = new DeliveryReader(stores.connectRedis('reading'), stores.redis, stores.keys, listener);
  /** A deploy sends everybody away at once; they had better not all come back at once. */
  const jitter = () => Math.round((Math.random() * config.handoverMs) / 2);
  let drained: Promise<void> | undefined;
  const resync = new Resync(
    () => audience.resync(),
    (error) => log.warn({ err: error }, 'Watchers could not be told what they missed; trying again'),
    async () => (await stores.seen.state()).held,
  );
  stores.pulse.onLost((shards) => {
    reader.reset(shards);
    // Until all who live have been restored, the store knows less than the watchers do.
    resync.notBefore(config.ttlMs + config.handoverMs + RESYNC_MARGIN_MS);
  });
  stores.pulse.onBack((shards) => roomMembers.onBack(shards));
  stores.pulse.onLost(() => conversationRooms.checkMembers());
  stores.pulse.onBack((_, first) => {
    if (!first) conversationRooms.checkMembers();
  });
  // A master's replica may not have heard of what was told last. On a single Redis the stream's numbering tells of that.
  if (config.redisCluster) {
    stores.pulse.onBack((_, first) => {
      if (!first) resync.in(RESYNC_MARGIN_MS);
    });
  }
  const pings = new Pings(io, pingEveryMs(config));
  const slowReaders = new SlowReaders(io, (socket) => {
    const { connection } = socket.data;
    closedSlowReader(socket.data.caller.userId);
    if (connection) connections.leave(connection, true);
    socket.conn.close(true);
  });

  const closedSlowReader = (userId: string) => {
    log.info({ userId }, 'A client that does not read is cut off');
    metrics.slowReaderClosed();
  };
  const requireOpen = () => {
    if (!drained && reader.placed) return;
    const message = drained ? 'This process is shutting down: connect again.' : 'Redis is not answering yet.';
    throw new RollcallError('UNAVAILABLE', { message, retryAfterMs: 1000 });
  };
  const streams = new EventStreams({
    config,
    stores,
    rooms,
    audience,
    place: () => (resync.due || audience.owes ? null : reader.told),
    delivered: (shard) => reader.delivered(shard),
    mayStay: (request) => connectionLimit.upgrade(request, request.socket),
    requireOpen: async (caller) => {
      requireOpen();
      if (pressure.level === 2) await requireHere(caller, { stores });
    },
    slowReaderClosed: ({ userId }) => closedSlowReader(userId),
  });

  const tellStrange = tellStrangeOptions(log);
  io.use((socket, next) => {
    const refuse = (error: unknown) => {
      metrics.refused(toRollcallError(error).code);
      next(refusalOf(error));
    };
    try {
      requireOpen();
    } catch (error) {
      return refuse(error);
    }
    const admission = {
      ...deps,
      addressOf,
      connections,
      audience,
      roomMembers,
      tellStrange,
      isCrowded: () => pressure.level === 2,
    };
    stores.tracing
      .event('connect', () => admit(socket, admission))
      .then(
        () => {
          holdBack(socket);
          next();
        },
        (error) => {
          if (!(error instanceof RollcallError)) log.error({ err: error }, 'A handshake failed');
          refuse(error);
        },
      );
  });
  io.on('connection', (socket) => {
    const { connection, viewer } = socket.data;
    const welcome = takeWelcome(socket);
    rooms.enter(viewer);
    listen(socket);
    pings.take(socket);
    slim(socket);
    together(socket, () => socket.emit('ready', welcome.ready));
    audience.show(welcome.picture ?? nothingFor(viewer));
    for (const look of welcome.looks) roomMembers.audience.show(look);
    // Ended while it was still shaking hands.
    if (drained) closeSocket(socket, 'draining', jitter());
    else if (connection?.endedWith) closeSocket(socket, connection.endedWith);
  });

  metrics.follow({
    connections: () => io.of('/').sockets.size + streams.size,
    sessions: () => connections.size,
    level: () => pressure.level,
    loopLagMs: () => pressure.loopLagMs,
  });

  const drain = async () => {
    log.info({ sessions: connections.size }, 'Draining: sessions are handed over');
    await connections.handOver();
    const sockets = [...io.of('/').sockets.values()];
    const gone = sockets.map((socket) => new Promise((resolve) => socket.conn.once('close', resolve)));
    for (const socket of sockets) closeSocket(socket, 'draining', jitter());
    streams.close(jitter);
    await connections.settled();
    // Each is closed behind its last packet, or cut off after a while; closing them all would drop what is unsent.
    await Promise.all(gone);
    const closing = io.close();
    const goodbyes = letConnectionsGo(http);
    await closing;
    goodbyes.stop();
  };
  const drainOnce = () => {
    drained ??= drain();
    return drained;
  };

  const { start, stop } = serviceOf({
    name: 'sockets',
    // Without Redis the process starts all the same, and lets people in when it is back.
    start: async (stopping) => {
      pressure.start();
      slowReaders.start();
      pings.start();
      const placed = new AbortController();
      const limit = delay(PLACE_LIMIT_MS, undefined, { signal: AbortSignal.any([placed.signal, stopping]) });
      await Promise.race([reader.start(), limit.catch(() => {})]);
      placed.abort();
    },
    stop: async () => {
      await drainOnce();
      resync.stop();
      pressure.stop();
      slowReaders.stop();
      pings.stop();
      await reader.stop();
      await resync.settled();
      roomMembers.stop();
      await audience.stop();
      await conversationRooms.stopChecking();
      await connections.stop();
    },
  });
  return {
    name: 'sockets',
    get draining() {
      return drained !== undefined;
    },
    get level() {
      return pressure.level;
    },
    streams,
    start,
    drain: drainOnce,
    stop,
  };
}
