import type { Room, RoomChange } from '../../../src/protocol/rooms.ts';
import { TestClient, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { Member } from './member.ts';
import type { Shown } from './watcher.ts';

/** Somebody was told to have left a room, by that version of it. */
interface Left {
  at: number;
  version: number;
  roomId: string;
  userId: string;
}

/** A stretch in which somebody was shown to be in a room. */
interface ShownThere extends Shown {
  roomId: string;
}

/** An observer at one web who watches rooms as every client does, keeps what was told, and comes back whenever its web lets it. */
export class RoomWatcher {
  readonly web: Member;
  readonly label: string;
  readonly left: Left[] = [];
  /** What no receiver may ever see: versions that go back on one connection. */
  readonly violations: { at: number; text: string }[] = [];
  /** By room who is there, as this one knows. */
  readonly view = new Map<string, Set<string>>();
  readonly #roomIds: readonly string[];
  readonly #versions = new Map<string, number>();
  /** By room and user: since when they are shown. */
  readonly #since = new Map<string, number>();
  readonly #shown: ShownThere[] = [];
  #client: TestClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(web: Member, roomIds: readonly string[]) {
    this.web = web;
    this.label = `rooms at ${web.name}`;
    this.#roomIds = roomIds;
  }

  get connected(): boolean {
    return (this.#client?.socket.connected ?? false) && this.#roomIds.every((roomId) => this.view.has(roomId));
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tick(), 200);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client?.leave();
  }

  /** When it took whom to be in one of its rooms; the last ones last until `now`. */
  shown(now: number): ShownThere[] {
    const open = [...this.#since].map(([pair, from]) => {
      const [roomId = '', userId = ''] = pair.split(' ');
      return { roomId, userId, from, to: now };
    });
    return [...this.#shown, ...open];
  }

  async #tick(): Promise<void> {
    if (this.#busy || !this.web.running) return;
    this.#busy = true;
    if (!this.#client?.socket.connected) await this.#connect();
    for (const roomId of this.#roomIds) if (!this.view.has(roomId)) await this.#watch(roomId);
    this.#busy = false;
  }

  async #connect(): Promise<void> {
    const token = await tokenFor('observer', { scope: 'presence:read' });
    const client = new TestClient(`http://127.0.0.1:${this.web.port}`, { token, watch: [] });
    client.socket.on('room_change', (change) => this.#hear(change));
    client.socket.on('disconnect', () => this.#forget());
    this.#client = client;
    if (!(await within(client.welcomed(), 2500))) client.leave();
  }

  async #watch(roomId: string): Promise<void> {
    const client = this.#client;
    if (!client?.socket.connected) return;
    // Taken in before whatever comes behind it. While it is not known who is there, this is refused.
    const answered = new Promise<void>((resolve) => {
      client.socket.emit('watch_room', { roomId }, (answer) => {
        if (answer.ok) this.#replace(answer.room);
        resolve();
      });
    });
    await within(answered, 2500);
  }

  #hear(change: RoomChange): void {
    const { roomId, version } = change;
    const before = this.#versions.get(roomId) ?? 0;
    const at = Date.now();
    if (version < before)
      this.violations.push({ at, text: `${roomId} went back from version ${before} to ${version}` });
    for (const { userId } of change.left ?? []) this.left.push({ at, version, roomId, userId });
    if (version <= before) return;
    if (change.users) {
      this.#replace(change);
      return;
    }
    this.#versions.set(roomId, version);
    for (const { userId } of change.joined ?? []) this.#set(roomId, userId, true);
    for (const { userId } of change.left ?? []) this.#set(roomId, userId, false);
  }

  #replace({ roomId, version, users = [] }: Room): void {
    this.#versions.set(roomId, version);
    const there = new Set(users.map(({ userId }) => userId));
    if (!this.view.has(roomId)) this.view.set(roomId, new Set());
    for (const userId of [...(this.view.get(roomId) ?? [])]) if (!there.has(userId)) this.#set(roomId, userId, false);
    for (const userId of there) this.#set(roomId, userId, true);
  }

  #set(roomId: string, userId: string, isThere: boolean): void {
    const pair = `${roomId} ${userId}`;
    const since = this.#since.get(pair);
    if (isThere) {
      this.view.get(roomId)?.add(userId);
      if (since === undefined) this.#since.set(pair, Date.now());
      return;
    }
    this.view.get(roomId)?.delete(userId);
    this.#since.delete(pair);
    if (since !== undefined) this.#shown.push({ roomId, userId, from: since, to: Date.now() });
  }

  #forget(): void {
    for (const [roomId, users] of this.view) for (const userId of [...users]) this.#set(roomId, userId, false);
    this.view.clear();
    this.#versions.clear();
  }
}
