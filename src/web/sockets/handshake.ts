import type { Config } from '../../config/config.ts';
import { RollcallError, socketErrorBody, toRollcallError } from '../../errors.ts';
import { ConnectOptions, PROTOCOL, type Ready } from '../../protocol/socket.ts';
import type { Stores } from '../../stores.ts';
import { iso } from '../../usecases/payloads.ts';
import { namedRooms } from '../../usecases/room-payloads.ts';
import { anonymousSession, deviceSession } from '../../usecases/session-ids.ts';
import { nothingSeen } from '../../usecases/status-reads.ts';
import { viewerOf } from '../auth/rights.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { clientAddress } from '../limits/client-address.ts';
import type { Limits } from '../limits/limits.ts';
import type { WebMetrics } from '../operations/metrics.ts';
import type { Connection } from '../sessions/connection.ts';
import type { Connections } from '../sessions/connections.ts';
import { ownTimes, type SessionTimes } from '../sessions/session-times.ts';
import { parse } from '../validation.ts';
import type { Audience } from './audience.ts';
import { closeSocket } from './closing.ts';
import type { RoomMembers } from './room-members.ts';
import { LEAST_LEFT_MS } from './token-watch.ts';
import { NOBODY, type Picture, type PresenceSocket, type SocketData, type Viewer } from './types.ts';

const NEWCOMERS_WAIT_MS = 2000;

export interface AdmitDeps {
  config: Config;
  tokens: Tokens;
  limits: Limits;
  addressOf: ReturnType<typeof clientAddress>;
  connections: Connections;
  audience: Audience;
  roomMembers: RoomMembers;
  metrics: WebMetrics;
  stores: Pick<Stores, 'deadlines'>;
  /** Hears what each handshake says beside its token. */
  tellStrange(options: object): void;
  /** Whether there is no room for newcomers right now. */
  isCrowded(): boolean;
}

/**
 * Lets a client in: finds who it is and what it wants, opens its session and looks at whom it watches, all before it is
 * told anything, so that whatever cannot be had refuses the handshake. Throws what it is refused with.
 */
export async function admit(socket: PresenceSocket, deps: AdmitDeps): Promise<void> {
  const { config, tokens, limits, audience, connections } = deps;
  const address = deps.addressOf(socket.request);
  await limits.connectFrom(address);
  const { token, ...rest } = socket.handshake.auth as Record<string, unknown>;
  if (typeof token !== 'string') throw tokens.missing();
  // The neighbours of a flood may come: of what it costs to hear a token here, `Admission` lets few of the flood in.
  const caller = await tokens.checkPatiently(token, address, LEAST_LEFT_MS);
  await limits.connect(caller, token);
  requireProtocol(rest.protocol);
  const options = parse(ConnectOptions, rest);
  deps.tellStrange(rest);
  if (caller.service && !caller.service.read) throw new RollcallError('FORBIDDEN');
  if (deps.isCrowded()) await requireHere(caller, deps);
  if (options.watch && options.watch.length > config.maxWatchedUsers) {
    const message = `At most ${config.maxWatchedUsers} users can be watched by one connection.`;
    throw new RollcallError('TOO_MANY_WATCHED', { message });
  }
  if (options.watch) await limits.lookByName(caller, options.watch);

  if (options.rooms) deps.roomMembers.requireNamed(caller, options.rooms);

  const viewer: Viewer = {
    socket,
    userId: viewerOf(caller),
    watching: options.watch ? NOBODY : null,
    batch: options.batch ?? false,
    gathered: null,
  };
  const data: SocketData = { caller, address, viewer, joined: null, rooms: null, connection: null, welcome: null };
  socket.data = data;
  leaveWhenClosed(socket, audience, connections);
  const open = async () => {
    if (!caller.service) await openSession(socket, caller, options, deps);
  };
  // What is refused leaves no choice behind: where one comes with the session, that is opened last.
  const isOpenedLast = options.appear !== undefined;
  if (!isOpenedLast) await open();
  try {
    const everyone = config.audience === 'everyone';
    const picture = options.watch || everyone ? await audience.look(viewer, options.watch ?? null) : null;
    if (isOpenedLast) await open();
    const looks = options.rooms ? await deps.roomMembers.enter(socket, options.rooms) : [];
    const ready = welcomeOf(data.connection, caller.userId, config, picture);
    if (options.rooms) ready.rooms = looks.map(({ room }) => room);
    data.welcome = { ready, picture, looks };
    if (socket.conn.readyState !== 'open') throw wentAway();
  } catch (error) {
    audience.drop(viewer);
    deps.roomMembers.left(socket);
    if (data.connection) {
      // Who is asked to come again has not left.
      if (data.connection.cameHidden) connections.takeBack(data.connection);
      else if (toRollcallError(error).code === 'UNAVAILABLE') connections.sendAway(data.connection);
      else connections.leave(data.connection);
    }
    throw error;
  }
}

/** Before the shape of the rest, which may be that of another version. Absent means the first. */
function requireProtocol(named: unknown): void {
  if (named === undefined || named === null || named === PROTOCOL) return;
  throw new RollcallError('UNSUPPORTED_PROTOCOL', { supported: [PROTOCOL] });
}

/**
 * Who is here comes first, and that includes whoever is on the way from a web that was restarted: sent away, they would be
 * told inactive. Newcomers wait until there is room for them, and do not come back all at once.
 */
export async function requireHere(
  { userId, service }: SocketData['caller'],
  { stores }: Pick<AdmitDeps, 'stores'>,
): Promise<void> {
  if (service === null && (await stores.deadlines.has(userId).catch(() => false))) return;
  const message = 'This server has too much to do for newcomers right now: connect again in a moment.';
  throw new RollcallError('UNAVAILABLE', { message, retryAfterMs: NEWCOMERS_WAIT_MS * (1 + Math.random()) });
}

async function openSession(
  socket: PresenceSocket,
  { userId, claims }: SocketData['caller'],
  options: ConnectOptions,
  { config, connections, metrics }: AdmitDeps,
): Promise<void> {
  const connection = await connections.open({
    userId,
    sessionId: options.deviceId === undefined ? anonymousSession() : deviceSession(userId, options.deviceId),
    kind: options.device?.kind ?? 'other',
    name: options.device?.name ?? '',
    times: timesOf(options, config),
    claims,
    rooms: options.rooms && namedRooms(options.rooms),
    appear: options.appear && 'ask',
    end: (reason) => {
      // A client that is not let in yet is told after it has been.
      if (socket.connected) closeSocket(socket, reason);
    },
  });
  socket.data.connection = connection;
  if (options.heartbeat === 'pong') {
    socket.conn.on('heartbeat', () => {
      metrics.heartbeat('accepted');
      connections.beat(connection, null);
    });
  }
  if (socket.conn.readyState !== 'open') {
    connections.takeBack(connection);
    throw wentAway();
  }
}

function timesOf({ ttlSeconds, heartbeat }: ConnectOptions, config: Config): SessionTimes | undefined {
  return ttlSeconds === undefined ? undefined : ownTimes(config, ttlSeconds, heartbeat === 'pong');
}

/** Ends the session of a client that has left, in whichever way; the first time counts. */
export function leave({ data }: PresenceSocket, connections: Connections, reason: string): void {
  if (data.connection) connections.leave(data.connection, reason === 'ping timeout');
}

function welcomeOf(connection: Connection | null, userId: string, config: Config, picture: Picture | null): Ready {
  return {
    protocol: PROTOCOL,
    userId,
    sessionId: connection?.sessionId ?? null,
    heartbeatIntervalMs: connection?.times.intervalMs ?? config.heartbeatIntervalMs,
    ttlMs: connection?.times.ttlMs ?? config.ttlMs,
    serverTime: iso(Date.now()),
    ...(picture ? { users: picture.snapshot.users } : {}),
  };
}

/** On its own: a listener keeps alive what any function beside it names, and above that is the token. */
function leaveWhenClosed(socket: PresenceSocket, audience: Audience, connections: Connections): void {
  socket.conn.on('close', (reason: string) => {
    audience.drop(socket.data.viewer);
    leave(socket, connections, reason);
  });
}

/**
 * Takes what a client that was let in is told first. Nothing of its handshake is kept after that, its token least of
 * all.
 */
export function takeWelcome(socket: PresenceSocket): NonNullable<SocketData['welcome']> {
  const { welcome } = socket.data;
  socket.data.welcome = null;
  Object.assign(socket.conn, { request: undefined });
  Object.assign(socket, { handshake: undefined });
  return welcome as NonNullable<typeof welcome>;
}

/** The picture of a client that is shown nothing. */
export function nothingFor(viewer: Viewer): Picture {
  return { viewer, userIds: null, covered: new Set(), held: [], snapshot: nothingSeen() };
}

/** An error as a handshake is refused with it: a `connect_error`, whose `data` says why. */
export function refusalOf(error: unknown): Error {
  const refused: Error & { data?: unknown } = new Error(toRollcallError(error).message);
  refused.data = socketErrorBody(error);
  return refused;
}

/** Heard by nobody: there is no one left to tell. */
function wentAway(): RollcallError {
  return new RollcallError('UNAVAILABLE', { message: 'The client went away.' });
}
