import type { Config } from '../../config/config.ts';
import { RollcallError, toRollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { NamedRoom } from '../../protocol/rooms.ts';
import type { DeliveryItem } from '../../redis/delivery.ts';
import type { RoomChangeCode } from '../../redis/user-rooms.ts';
import type { Rooms } from '../../usecases/rooms.ts';
import { unavailable } from '../../usecases/unavailable.ts';
import type { Caller } from '../auth/auth.ts';
import { mayWatchRoom, requireRooms } from '../auth/rights.ts';
import type { Connection } from '../sessions/connection.ts';
import type { Connections } from '../sessions/connections.ts';
import { sendGathered } from './frames.ts';
import { RoomAudience } from './room-audience.ts';
import { RoomReturns, sessionIn, TOLD_AT_ONCE } from './room-returns.ts';
import { requireUpdate } from './room-update-limit.ts';
import type { PresenceSocket, RoomLook, RoomViewer, Viewer } from './types.ts';

export interface RoomMembersDeps {
  rooms: Rooms;
  connections: Connections;
  config: Pick<Config, 'roomsOpen' | 'roomUsersLimit' | 'maxRoomsPerSession' | 'maxWatchedUsers'>;
  log: Logger;
  socketsOf(userId: string): PresenceSocket[];
}

type PutOut = Extract<DeliveryItem, { kind: 'put_out' }>;

/** What sockets say of rooms: they come, say something of themselves, and leave; or only watch. */
export class RoomMembers {
  /** Those who are told of rooms. */
  readonly audience: RoomAudience;
  readonly #deps: RoomMembersDeps;
  readonly #returns: RoomReturns;

  constructor(deps: RoomMembersDeps) {
    this.#deps = deps;
    this.audience = new RoomAudience(deps.rooms, deps.log, deps.config.roomUsersLimit);
    this.#returns = new RoomReturns(deps.rooms, deps.log);
    deps.connections.onRestored((connection) => this.#tellAgain(connection));
  }

  stop(): void {
    this.#returns.stop();
    this.audience.stop();
  }

  /** Redis is back for these shards, perhaps with older data: it hears where the sessions here are. */
  onBack(shards: readonly number[]): void {
    this.#returns.owe(this.#deps.connections.inRooms(shards));
  }

  /**
   * The session comes to a room, or says something new there. Returns what the client is shown; call `RoomAudience.show` once that
   * was sent. Throws FORBIDDEN, TOO_MANY_ROOMS or UNAVAILABLE.
   */
  async join(socket: PresenceSocket, roomId: string, data: object | undefined): Promise<RoomLook> {
    const { audience } = this;
    const { rooms } = this.#deps;
    const connection = this.#mayJoin(socket, roomId);
    requireHere(socket);
    let begun = audience.begin(socket, roomId);
    try {
      const session = sessionIn(connection, roomId);
      const said = data === undefined ? '' : JSON.stringify(data);
      let { picture } = await busy(connection, async () => {
        const joined = await this.#held(connection, () => rooms.join(session, said));
        connection.rooms ??= new Map();
        if (joined.picture) connection.rooms.set(roomId, { since: joined.since ?? 0, data: joined.data });
        return joined;
      });
      // It was told meanwhile that it had been put out before.
      if (!audience.has(begun.viewer) && socket.connected) {
        begun = audience.begin(socket, roomId);
        picture = await rooms.read(roomId);
      }
      if (!picture) throw unavailable();
      begun.viewer.there = true;
      const { room, shown } = await rooms.see(begun.viewer.viewerId, picture, { anyway: true });
      return { ...begun, room, shown };
    } catch (error) {
      audience.fail(begun);
      return this.#oweIfLate(connection, error);
    }
  }

  /**
   * The session says something new of itself, and did so at that moment (performance.now()). Throws FORBIDDEN where it is not in the room,
   * RATE_LIMITED, or UNAVAILABLE.
   */
  async update(socket: PresenceSocket, roomId: string, data: object, saidAt: number): Promise<void> {
    const { connection } = socket.data;
    const mine = connection?.rooms?.get(roomId);
    if (!connection || !mine) throw notThere();
    requireUpdate(connection, saidAt);
    const said = JSON.stringify(data);
    await this.#held(connection, async () => ({
      code: await this.#deps.rooms.update(sessionIn(connection, roomId), said),
    }));
    connection.roomUpdates.push(saidAt);
    mine.data = said;
  }

  /** The session leaves a room; nothing happens where it is not there. Throws UNAVAILABLE. */
  async leave(socket: PresenceSocket, roomId: string): Promise<void> {
    const { connection, rooms } = socket.data;
    const mine = connection?.rooms?.get(roomId);
    if (connection && mine) {
      // At once: a session that is brought back meanwhile is not brought back to where it leaves.
      connection.rooms?.delete(roomId);
      await busy(connection, () => this.#deps.rooms.leave(sessionIn(connection, roomId))).catch((error) => {
        // Who was put out meanwhile has nothing left there.
        if (rooms?.get(roomId)?.there) connection.rooms?.set(roomId, mine);
        this.#oweIfLate(connection, error);
      });
    }
    const viewer = rooms?.get(roomId);
    if (!viewer) return;
    viewer.there = false;
    if (!viewer.watching) this.audience.drop(viewer);
  }

  /** The client is told of a room. Returns what it is shown, as `join` does. Throws FORBIDDEN, TOO_MANY_WATCHED or UNAVAILABLE. */
  async watch(socket: PresenceSocket, roomId: string): Promise<RoomLook> {
    const { audience } = this;
    const { rooms, config } = this.#deps;
    requireRooms(socket.data.caller, [roomId], config.roomsOpen);
    const watched = (socket.data.viewer.watching?.size ?? 0) + watchedRooms(socket);
    if (!socket.data.rooms?.get(roomId)?.watching && watched >= config.maxWatchedUsers) {
      const message = `At most ${config.maxWatchedUsers} users and rooms can be watched by one connection; unwatch some first.`;
      throw new RollcallError('TOO_MANY_WATCHED', { message });
    }
    requireHere(socket);
    const begun = audience.begin(socket, roomId);
    try {
      const { room, shown } = await rooms.see(begun.viewer.viewerId, await rooms.read(roomId));
      begun.viewer.watching = true;
      return { ...begun, room, shown };
    } catch (error) {
      audience.fail(begun);
      throw error;
    }
  }

  /** The client is no longer told of a room, unless it is there. */
  unwatch(socket: PresenceSocket, roomId: string): void {
    const viewer = socket.data.rooms?.get(roomId);
    if (!viewer) return;
    viewer.watching = false;
    if (!viewer.there) this.audience.drop(viewer);
  }

  /** The client has another token: what that does not name is taken away. */
  async recheck(socket: PresenceSocket): Promise<void> {
    const { caller, rooms, connection } = socket.data;
    const refused = [...(rooms?.values() ?? [])].filter(
      ({ roomId }) => !mayWatchRoom(caller, roomId, this.#deps.config.roomsOpen),
    );
    const takeAway = async (viewer: RoomViewer) => {
      viewer.watching = false;
      await this.leave(socket, viewer.roomId).catch((error) => {
        // It leaves once Redis can be told.
        connection?.rooms?.delete(viewer.roomId);
        if (connection) this.#returns.owe([connection]);
        if (!(error instanceof RollcallError)) throw error;
      });
      this.#close(viewer, 'forbidden');
    };
    await Promise.all(refused.map(takeAway));
  }

  /** What a handshake names may be joined. Throws FORBIDDEN or TOO_MANY_ROOMS. */
  requireNamed(caller: Caller, named: readonly NamedRoom[]): void {
    const { roomsOpen, maxRoomsPerSession } = this.#deps.config;
    if (caller.service !== null && named.length > 0) throw serviceInRoom();
    requireRooms(
      caller,
      named.map(({ roomId }) => roomId),
      roomsOpen,
    );
    if (new Set(named.map(({ roomId }) => roomId)).size > maxRoomsPerSession) throw new RollcallError('TOO_MANY_ROOMS');
  }

  /** The client has come with a session that is in these rooms. Returns what it is shown of each; as `join` does. */
  async enter(socket: PresenceSocket, named: readonly NamedRoom[]): Promise<RoomLook[]> {
    const { connection } = socket.data;
    if (!connection) return [];
    const { rooms } = this.#deps;
    const inThem = await rooms.tellAgain(connection.userId);
    connection.rooms = new Map();
    for (const { roomId, data } of named) {
      const room = inThem.get(roomId);
      const mine = room?.sessions.find(({ sessionId }) => sessionId === connection.sessionId)?.data ?? '';
      connection.rooms.set(roomId, { since: room?.since ?? 0, data: data === undefined ? mine : JSON.stringify(data) });
    }
    return Promise.all(
      named.map(async ({ roomId }) => {
        const begun = this.audience.begin(socket, roomId);
        begun.viewer.there = true;
        const { room, shown } = await rooms.see(begun.viewer.viewerId, await rooms.read(roomId), { anyway: true });
        return { ...begun, room, shown };
      }),
    );
  }

  /** The client is gone, and is told nothing more. What it was in ends with its session. */
  left(socket: PresenceSocket): void {
    for (const viewer of [...(socket.data.rooms?.values() ?? [])]) this.audience.drop(viewer);
  }

  /** These connections of a user are no longer in the room, by a backend's doing at that moment (ms), unless they have come again. */
  putOut({ roomId, userId, conns, at }: PutOut): void {
    for (const socket of this.#deps.socketsOf(userId)) {
      const { connection } = socket.data;
      if (!connection || !conns.includes(connection.conn)) continue;
      if ((connection.rooms?.get(roomId)?.since ?? 0) >= at) continue;
      connection.rooms?.delete(roomId);
      const viewer = socket.data.rooms?.get(roomId);
      if (viewer) this.#close(viewer, 'kicked');
    }
  }

  /** What was refused has not happened: a Redis that stood still may do it once nobody waits for the answer any more. Throws the error. */
  #oweIfLate(connection: Connection, error: unknown): never {
    if (toRollcallError(error).code === 'UNAVAILABLE') {
      connection.rooms ??= new Map();
      this.#returns.owe([connection]);
    }
    throw error;
  }

  #close(viewer: RoomViewer, reason: 'kicked' | 'forbidden'): void {
    this.audience.drop(viewer);
    sendGathered();
    viewer.socket.emit('room_closed', { roomId: viewer.roomId, reason });
  }

  #mayJoin({ data: { caller, connection } }: PresenceSocket, roomId: string): Connection {
    if (!connection) throw serviceInRoom();
    requireRooms(caller, [roomId], this.#deps.config.roomsOpen);
    return connection;
  }

  /** Does what needs the session, which is brought back first where Redis has lost it. */
  async #held<T extends { code: RoomChangeCode }>(connection: Connection, work: () => Promise<T>): Promise<T> {
    let done = await work();
    if (done.code === 'missing') {
      await this.#deps.connections.restoreOnce(connection);
      done = await work();
    }
    if (done.code === 'absent') throw notThere();
    if (done.code === 'full') throw new RollcallError('TOO_MANY_ROOMS');
    if (done.code === 'missing') throw unavailable();
    return done;
  }

  /** Redis had lost the session: it is in the rooms where it was. */
  async #tellAgain(connection: Connection): Promise<void> {
    const { rooms } = this.#deps;
    try {
      const all = connection.holds ? [...(connection.rooms ?? [])] : [];
      const again = ([id, was]: (typeof all)[number]) => rooms.join(sessionIn(connection, id), was.data, was.since);
      for (let n = 0; n < all.length; n += TOLD_AT_ONCE) await Promise.all(all.slice(n, n + TOLD_AT_ONCE).map(again));
    } catch (error) {
      this.#returns.owe([connection]);
      if (!(error instanceof RollcallError)) throw error;
    }
  }
}

/** Does what changes where a connection is, of which it is not certain meanwhile. */
async function busy<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  connection.roomsBusy++;
  try {
    return await work();
  } finally {
    connection.roomsBusy--;
  }
}

/** How many rooms a connection has asked to be told of. */
export function watchedRooms({ data }: Viewer['socket']): number {
  const rooms = 'rooms' in data ? data.rooms : null;
  return [...(rooms?.values() ?? [])].filter(({ watching }) => watching).length;
}

/** Who went before its turn came nobody would drop any more from those who are told. */
function requireHere({ connected }: PresenceSocket): void {
  if (!connected) throw unavailable();
}

function serviceInRoom(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'A service is in no room; it may watch them all.' });
}

function notThere(): RollcallError {
  return new RollcallError('FORBIDDEN', { message: 'Join the room first.' });
}
