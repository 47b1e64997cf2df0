import type { StatusChange } from '../../protocol/socket.ts';
import { iso } from '../../usecases/payloads.ts';
import { Batches } from './batches.ts';
import { Frame } from './frames.ts';
import { Groups } from './groups.ts';
import type { PresenceSocket, Viewer } from './types.ts';
import { isInsider } from './wording.ts';

/**
 * Keeps who of this process's sockets watches whom, and tells them. A change is encoded once for all who are told the
 * same. Socket.IO's own rooms would take a Set and two entries of Maps for each socket, and have each socket looked up
 * by its id.
 */
export class Rooms {
  readonly #watchers = new Groups<Viewer>();
  readonly #own = new Groups<Viewer>();
  readonly #everyone = new Set<Viewer>();
  readonly #batches: Batches;

  /** `stretch`: how many times longer than usual changes gather for clients that asked for batches. */
  constructor(stretch: () => number) {
    this.#batches = new Batches(stretch);
  }

  /** Tells what has been gathered for batches, and stops. */
  stop(): void {
    this.#batches.stop();
  }

  /** Prepares a viewer that has just been let in. */
  enter(viewer: Viewer): void {
    const { connection } = viewer.socket.data;
    if (connection) this.#own.add(connection.userId, viewer);
  }

  /** The viewer is gone, and is told nothing more. */
  leave(viewer: Viewer): void {
    const { connection } = viewer.socket.data;
    if (connection) this.#own.delete(connection.userId, viewer);
    this.#everyone.delete(viewer);
    for (const userId of viewer.watching ?? []) this.#watchers.delete(userId, viewer);
  }

  /** Has a viewer told of these users, beside those it watches already. */
  watch(viewer: Viewer, userIds: Iterable<string>): void {
    this.#everyone.delete(viewer);
    for (const userId of userIds) this.#watchers.add(userId, viewer);
  }

  /** Has a viewer told of everybody. */
  watchEveryone(viewer: Viewer): void {
    this.#everyone.add(viewer);
  }

  /** Has a viewer told no more of these users, nor of everybody. */
  unwatch(viewer: Viewer, userIds: Iterable<string>): void {
    this.#everyone.delete(viewer);
    for (const userId of userIds) this.#watchers.delete(userId, viewer);
  }

  /** Whether somebody here is told of everybody. */
  get hasEveryone(): boolean {
    return this.#everyone.size > 0;
  }

  /** Whether somebody here watches the user by name. */
  isWatched(userId: string): boolean {
    return this.#watchers.has(userId);
  }

  /** Every user whom somebody here watches by name. */
  watched(): Iterable<string> {
    return this.#watchers.names();
  }

  /** Everybody here who is to hear of the user. */
  viewersOf(userId: string): Viewer[] {
    const named = this.#watchers.of(userId);
    if (!this.hasEveryone) return [...named];
    return [...named, ...[...this.#everyone].filter((viewer) => !isOwn(viewer, userId))];
  }

  /** The sockets of a user here. */
  socketsOf(userId: string): PresenceSocket[] {
    return [...this.#own.of(userId)].flatMap(({ socket }) => (socket.conn === null ? [] : socket));
  }

  /** Tells each, but for those skipped, what it may see (null: nothing). What is worded alike is encoded once. */
  tellEach(userId: string, wordFor: (viewer: Viewer) => StatusChange | null, skipped: readonly Viewer[]): void {
    for (const [change, viewers] of Map.groupBy(this.#viewersBut(userId, skipped), wordFor)) {
      if (change !== null) this.#send(viewers, change);
    }
  }

  /** Tells all who are to hear of the user, but for those skipped; `insider`: what the user and services are told instead. */
  tell(change: StatusChange, skipped: readonly Viewer[], insider: StatusChange): void {
    const viewers = this.#viewersBut(change.userId, skipped);
    const isInside = (viewer: Viewer) => isInsider(viewer, change.userId);
    const inside = insider === change ? [] : viewers.filter(isInside);
    this.#send(inside, insider);
    this.#send(inside.length === 0 ? viewers : viewers.filter((viewer) => !isInside(viewer)), change);
  }

  /** Tells one viewer what it missed while its picture was being made. */
  tellOne(viewer: Viewer, change: StatusChange): void {
    // Only an audience of everyone leaves out one's own changes.
    if (viewer.watching === null && isOwn(viewer, change.userId)) return;
    if (viewer.watching !== null && !viewer.watching.has(change.userId)) return;
    this.#send([viewer], change);
  }

  /** Tells all devices of one user here that a friend became active, as they asked. */
  alert(askerId: string, { userId, at }: { userId: string; at: number }): void {
    const sockets = this.socketsOf(askerId);
    if (sockets.length === 0) return;
    const frame = Frame.of('friend_active', { userId, at: iso(at) });
    for (const socket of sockets) frame.sendTo(socket);
  }

  #viewersBut(userId: string, skipped: readonly Viewer[]): Viewer[] {
    const viewers = this.viewersOf(userId);
    if (skipped.length === 0) return viewers;
    const left = new Set(skipped);
    return viewers.filter((viewer) => !left.has(viewer));
  }

  #send(viewers: readonly Viewer[], change: StatusChange): void {
    if (viewers.length === 0) return;
    const json = JSON.stringify(change);
    const frame = new Frame('user_status_change', json);
    const batching: Viewer[] = [];
    for (const viewer of viewers) {
      if (viewer.batch) batching.push(viewer);
      else frame.gatherFor(viewer.socket);
    }
    this.#batches.add(batching, change, json);
  }
}

function isOwn(viewer: Viewer, userId: string): boolean {
  return viewer.userId === userId;
}
