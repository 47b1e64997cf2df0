import type { StatusChange } from '../../protocol/socket.ts';
import { iso } from '../shown.ts';
import { Batches } from './batches.ts';
import type { PresenceServer, PresenceSocket, Viewer } from './types.ts';

// Rooms are prefixed: a user id may equal a socket id, which is a room too.
const EVERYONE = 'everyone';
const WATCH = 'watch:';
const BATCH = 'batch';
const watchersOf = (userId: string) => `${WATCH}${userId}`;
export const ownSocketsOf = (userId: string) => `own:${userId}`;

/** The rooms of this process's sockets: who watches whom, and how each is told. A change is encoded once per room. */
export class Rooms {
  readonly #io: PresenceServer;
  readonly #batches: Batches;

  /** `stretch`: how many times longer than usual changes gather for clients that asked for batches. */
  constructor(io: PresenceServer, stretch: () => number) {
    this.#io = io;
    this.#batches = new Batches(stretch);
  }

  stop(): void {
    this.#batches.stop();
  }

  /** Prepares a viewer that has just been let in. */
  enter(viewer: Viewer): void {
    const { connection } = viewer.socket.data;
    if (connection) void viewer.socket.join(ownSocketsOf(connection.userId));
    if (viewer.batch) void viewer.socket.join(BATCH);
  }

  watch({ socket }: Viewer, userIds: Iterable<string>): void {
    void socket.leave(EVERYONE);
    void socket.join([...userIds].map(watchersOf));
  }

  watchEveryone({ socket }: Viewer): void {
    void socket.join(EVERYONE);
  }

  unwatch({ socket }: Viewer, userIds: Iterable<string>): void {
    void socket.leave(EVERYONE);
    for (const userId of userIds) void socket.leave(watchersOf(userId));
  }

  get hasEveryone(): boolean {
    return this.#size(EVERYONE) > 0;
  }

  isWatched(userId: string): boolean {
    return this.#size(watchersOf(userId)) > 0;
  }

  /** Every user whom somebody here watches by name. */
  *watched(): Iterable<string> {
    for (const room of this.#io.of('/').adapter.rooms.keys()) {
      if (room.startsWith(WATCH)) yield room.slice(WATCH.length);
    }
  }

  /** Everybody here who is to hear of the user. */
  viewersOf(userId: string): Viewer[] {
    const { sockets, adapter } = this.#io.of('/');
    const viewers = new Set<Viewer>();
    for (const socketId of adapter.rooms.get(watchersOf(userId)) ?? []) addTo(viewers, sockets.get(socketId));
    for (const socketId of adapter.rooms.get(EVERYONE) ?? []) {
      const socket = sockets.get(socketId);
      if (!socket?.rooms.has(ownSocketsOf(userId))) addTo(viewers, socket);
    }
    return [...viewers];
  }

  /** Tells each, but for those skipped, what it may see (null: nothing). What is worded alike is encoded once. */
  tellEach(userId: string, wordFor: (viewer: Viewer) => StatusChange | null, skipped: Viewer[]): void {
    const left = this.viewersOf(userId).filter((viewer) => !skipped.includes(viewer));
    for (const [change, viewers] of Map.groupBy(left, wordFor)) {
      if (change === null) continue;
      const [batching, single] = [true, false].map((batch) => viewers.filter((viewer) => viewer.batch === batch));
      this.#batches.add(batching ?? [], change);
      // To nobody means to everybody.
      if (!single?.length) continue;
      this.#io.to(single.map((viewer) => viewer.socket.id)).emit('user_status_change', change);
    }
  }

  /** Tells all who are to hear of the user, but for those skipped. */
  tell(change: StatusChange, skipped: Viewer[]): void {
    const skippedIds = skipped.map((viewer) => viewer.socket.id);
    const watchers = watchersOf(change.userId);
    const own = ownSocketsOf(change.userId);
    if (this.#size(watchers) > 0) {
      this.#io
        .to(watchers)
        .except([...skippedIds, BATCH])
        .emit('user_status_change', change);
      this.#batches.add(this.#batchersIn(watchers, skipped), change);
    }
    if (this.#size(EVERYONE) > 0) {
      this.#io
        .to(EVERYONE)
        .except([...skippedIds, BATCH, own])
        .emit('user_status_change', change);
      const others = this.#batchersIn(EVERYONE, skipped).filter((viewer) => !viewer.socket.rooms.has(own));
      this.#batches.add(others, change);
    }
  }

  /** Tells one viewer what it missed while its picture was being made. */
  tellOne(viewer: Viewer, change: StatusChange): void {
    const own = viewer.socket.data.connection?.userId === change.userId;
    // Only an audience of everyone leaves out one's own changes.
    if (viewer.watching === null && own) return;
    if (viewer.watching !== null && !viewer.watching.has(change.userId)) return;
    if (viewer.batch) this.#batches.add([viewer], change);
    else viewer.socket.emit('user_status_change', change);
  }

  /** Tells all devices of one user here that a friend became active, as they asked. */
  alert(askerId: string, { userId, at }: { userId: string; at: number }): void {
    this.#io.to(ownSocketsOf(askerId)).emit('friend_active', { userId, at: iso(at) });
  }

  #batchersIn(room: string, skipped: Viewer[]): Viewer[] {
    const { sockets, adapter } = this.#io.of('/');
    const batching = adapter.rooms.get(BATCH);
    if (!batching || batching.size === 0) return [];
    const viewers: Viewer[] = [];
    for (const socketId of adapter.rooms.get(room) ?? []) {
      const viewer = batching.has(socketId) ? sockets.get(socketId)?.data.viewer : undefined;
      if (viewer && !skipped.includes(viewer)) viewers.push(viewer);
    }
    return viewers;
  }

  #size(room: string): number {
    return this.#io.of('/').adapter.rooms.get(room)?.size ?? 0;
  }
}

function addTo(viewers: Set<Viewer>, socket: PresenceSocket | undefined): void {
  if (socket) viewers.add(socket.data.viewer);
}
