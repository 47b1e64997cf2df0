import type { StatusChange } from '../../protocol/socket.ts';
import { iso } from '../../usecases/payloads.ts';
import { Batches } from './batches.ts';
import type { PresenceServer, Viewer } from './types.ts';

// Rooms are prefixed: a user id may equal a socket id, which is a room too. Those who asked for batches have rooms of their
// own, so that nobody has to be left out of a broadcast.
const EVERYONE = { single: 'everyone', batch: 'batch-everyone' };
const WATCH = { single: 'watch:', batch: 'batch-watch:' };
const MODES = ['single', 'batch'] as const;
const modeOf = (viewer: Viewer) => (viewer.batch ? 'batch' : 'single');
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
  enter({ socket }: Viewer): void {
    const { connection } = socket.data;
    if (connection) void socket.join(ownSocketsOf(connection.userId));
  }

  watch(viewer: Viewer, userIds: Iterable<string>): void {
    const prefix = WATCH[modeOf(viewer)];
    void viewer.socket.leave(EVERYONE[modeOf(viewer)]);
    void viewer.socket.join(Array.from(userIds, (userId) => prefix + userId));
  }

  watchEveryone(viewer: Viewer): void {
    void viewer.socket.join(EVERYONE[modeOf(viewer)]);
  }

  unwatch(viewer: Viewer, userIds: Iterable<string>): void {
    const prefix = WATCH[modeOf(viewer)];
    void viewer.socket.leave(EVERYONE[modeOf(viewer)]);
    for (const userId of userIds) void viewer.socket.leave(prefix + userId);
  }

  get hasEveryone(): boolean {
    return MODES.some((mode) => this.#size(EVERYONE[mode]) > 0);
  }

  isWatched(userId: string): boolean {
    return MODES.some((mode) => this.#size(WATCH[mode] + userId) > 0);
  }

  /** Every user whom somebody here watches by name. */
  *watched(): Iterable<string> {
    for (const room of this.#io.of('/').adapter.rooms.keys()) {
      const prefix = Object.values(WATCH).find((one) => room.startsWith(one));
      if (prefix !== undefined) yield room.slice(prefix.length);
    }
  }

  /** Everybody here who is to hear of the user. */
  viewersOf(userId: string): Viewer[] {
    const own = ownSocketsOf(userId);
    const named = MODES.flatMap((mode) => this.#in(WATCH[mode] + userId));
    const others = MODES.flatMap((mode) => this.#in(EVERYONE[mode])).filter(({ socket }) => !socket.rooms.has(own));
    return [...new Set([...named, ...others])];
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
    const { userId } = change;
    const skippedIds = skipped.map((viewer) => viewer.socket.id);
    this.#tellRoom(WATCH.single + userId, change, skippedIds);
    this.#batches.add(without(skipped, this.#in(WATCH.batch + userId)), change);
    if (!this.hasEveryone) return;
    const own = ownSocketsOf(userId);
    this.#tellRoom(EVERYONE.single, change, this.#size(own) > 0 ? [...skippedIds, own] : skippedIds);
    const others = this.#in(EVERYONE.batch).filter(({ socket }) => !socket.rooms.has(own));
    this.#batches.add(without(skipped, others), change);
  }

  #tellRoom(room: string, change: StatusChange, except: string[]): void {
    if (this.#size(room) === 0) return;
    const to = this.#io.to(room);
    (except.length > 0 ? to.except(except) : to).emit('user_status_change', change);
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

  #in(room: string): Viewer[] {
    const { sockets, adapter } = this.#io.of('/');
    const viewers: Viewer[] = [];
    for (const socketId of adapter.rooms.get(room) ?? []) {
      const viewer = sockets.get(socketId)?.data.viewer;
      if (viewer) viewers.push(viewer);
    }
    return viewers;
  }

  #size(room: string): number {
    return this.#io.of('/').adapter.rooms.get(room)?.size ?? 0;
  }
}

function without(skipped: Viewer[], viewers: Viewer[]): Viewer[] {
  return skipped.length === 0 ? viewers : viewers.filter((viewer) => !skipped.includes(viewer));
}
