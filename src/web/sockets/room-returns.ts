import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { RoomOfUser, RoomSession } from '../../redis/user-rooms.ts';
import type { Rooms } from '../../usecases/rooms.ts';
import type { Connection } from '../sessions/connection.ts';

const AGAIN_MS = 1000;
/** Who came just now may still be about to say in which rooms it stays where it was (2 s; lua/lib-rooms.lua). */
const NEW_MS = 3000;
const USERS_AT_ONCE = 100;
/** So many are told Redis together: after a loss there may be very many. */
export const TOLD_AT_ONCE = 20;

/**
 * Sees to it that Redis has the sessions of this process in the rooms where they are, and in no other: it may have come back without what
 * was told last, or have been away while it was to be told.
 */
export class RoomReturns {
  readonly #rooms: Pick<Rooms, 'whereAre' | 'goOn' | 'leave'>;
  readonly #log: Logger;
  readonly #owing = new Set<Connection>();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(rooms: Pick<Rooms, 'whereAre' | 'goOn' | 'leave'>, log: Logger) {
    this.#rooms = rooms;
    this.#log = log;
  }

  /** Has these looked after within a second or so, and again until that has succeeded. */
  owe(connections: Iterable<Connection>): void {
    for (const connection of connections) this.#owing.add(connection);
    if (this.#stopped || this.#owing.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#pass();
    }, AGAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #pass(): Promise<void> {
    const all = [...this.#owing].filter(({ holds, rooms }) => holds && rooms !== null);
    this.#owing.clear();
    for (const [shard, connections] of Map.groupBy(all, (connection) => connection.shard)) {
      for (let n = 0; n < connections.length; n += USERS_AT_ONCE) {
        const some = connections.slice(n, n + USERS_AT_ONCE);
        await this.#look(shard, some).catch((error) => {
          if (!(error instanceof RollcallError)) this.#log.error({ err: error }, 'Rooms could not be told again');
          this.owe(some);
        });
      }
    }
  }

  async #look(shard: number, connections: readonly Connection[]): Promise<void> {
    const found = await this.#rooms.whereAre(shard, [...new Set(connections.map(({ userId }) => userId))]);
    for (let n = 0; n < connections.length; n += TOLD_AT_ONCE) {
      await Promise.all(
        connections.slice(n, n + TOLD_AT_ONCE).map((connection) => {
          // What it says at this moment is neither here nor there yet.
          const isNew = performance.now() - connection.openedAt < NEW_MS;
          if (connection.roomsBusy > 0 || isNew) return this.owe([connection]);
          return this.#compare(connection, found.get(connection.userId) ?? []);
        }),
      );
    }
  }

  async #compare(connection: Connection, found: readonly RoomOfUser[]): Promise<void> {
    const { sessionId } = connection;
    const rooms = connection.rooms ?? new Map<string, { since: number; data: string }>();
    const there = new Set(
      found.flatMap(({ roomId, sessions }) => (sessions.some((one) => one.sessionId === sessionId) ? [roomId] : [])),
    );
    const all = [...new Set([...rooms.keys(), ...there])];
    const differing = all.filter((roomId) => there.has(roomId) !== rooms.has(roomId));
    await Promise.all(
      differing.map((roomId) => {
        const mine = rooms.get(roomId);
        // What Redis does not know of the session itself is brought back with it.
        if (mine) return this.#rooms.goOn(sessionIn(connection, roomId), mine.data, mine.since);
        return this.#rooms.leave(sessionIn(connection, roomId));
      }),
    );
  }
}

/** The session of a connection, as it is in a room. */
export function sessionIn({ userId, sessionId, conn }: Connection, roomId: string): RoomSession {
  return { userId, sessionId, conn, roomId };
}
