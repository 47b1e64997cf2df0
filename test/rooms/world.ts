import type { Room, RoomChange, RoomUser } from '../../src/protocol/rooms.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { type Deployment, eventually } from '../support/deployment.ts';

/** What a client knows of one room, as one keeps it: pictures replace, events that are not newer are dropped. */
export class Roomer {
  readonly client: TestClient;
  readonly told: RoomChange[] = [];
  readonly closed: { roomId: string; reason: string }[] = [];
  readonly rooms = new Map<string, { version: number; count: number; users: Map<string, RoomUser> }>();

  constructor(client: TestClient) {
    this.client = client;
    client.socket.on('room_change', (change) => this.#hear(change));
    client.socket.on('room_closed', (closed) => this.closed.push(closed));
  }

  /** Those there by their ids, as this client knows them. */
  users(roomId: string): RoomUser[] {
    return [...(this.rooms.get(roomId)?.users.values() ?? [])].sort((a, b) => (a.userId < b.userId ? -1 : 1));
  }

  names(roomId: string): string[] {
    return this.users(roomId).map(({ userId }) => userId);
  }

  join(roomId: string, data?: object): Promise<Room> {
    return this.#look('join_room', { roomId, ...(data ? { data: { ...data } } : {}) });
  }

  watch(roomId: string): Promise<Room> {
    return this.#look('watch_room', { roomId });
  }

  show(room: Room): void {
    const users = new Map((room.users ?? []).map((user) => [user.userId, user]));
    this.rooms.set(room.roomId, { version: room.version, count: room.count, users });
  }

  /** Resolves once exactly these are there, as far as this client knows. */
  async sees(roomId: string, names: string[], withinMs = 8000): Promise<void> {
    await eventually(
      () => this.names(roomId).join(),
      (seen) => seen === [...names].sort().join(),
      withinMs,
    );
  }

  /** Whom this client was told had left. */
  left(roomId: string): string[] {
    return this.told.flatMap(({ roomId: id, left = [] }) => (id === roomId ? left.map(({ userId }) => userId) : []));
  }

  /** Shown as it comes: what is awaited comes behind an event that arrives in the same moment. */
  #look(event: 'join_room' | 'watch_room', request: { roomId: string; data?: Record<string, unknown> }): Promise<Room> {
    return new Promise((resolve, reject) => {
      this.client.socket.emit(event, request, (answer) => {
        if (!answer.ok) return reject(Object.assign(new Error(answer.error.code), answer.error));
        this.show(answer.room);
        resolve(answer.room);
      });
    });
  }

  #hear(change: RoomChange): void {
    this.told.push(change);
    const known = this.rooms.get(change.roomId);
    if (known && change.version <= known.version) return;
    if (change.users) {
      this.show(change);
      return;
    }
    const users = known?.users ?? new Map<string, RoomUser>();
    this.rooms.set(change.roomId, { version: change.version, count: change.count, users });
    for (const user of change.joined ?? []) users.set(user.userId, user);
    for (const user of change.changed ?? []) users.set(user.userId, { ...users.get(user.userId), ...user });
    for (const { userId } of change.left ?? []) users.delete(userId);
  }
}

/** A client whose token names all rooms, unless told otherwise; `named`: the rooms of its handshake. */
export async function enter(
  rollcall: Deployment,
  web: number,
  userId: string,
  {
    rooms = ['*'],
    named,
    ...options
  }: { rooms?: string[] | undefined; named?: object[] } & Record<string, unknown> = {},
): Promise<Roomer> {
  const token = await tokenFor(userId, { rooms });
  const auth = { watch: [], ...(named ? { rooms: named } : {}), ...options, token };
  return new Roomer(await TestClient.connect(rollcall.web(web).url, userId, auth));
}

/** A REST call by a service, or by a user whose token names all rooms. */
export async function ask(
  rollcall: Deployment,
  method: string,
  path: string,
  who: string | null = null,
  body?: unknown,
) {
  const token = await (who === null ? tokenFor('host', { scope: 'presence:write' }) : tokenFor(who, { rooms: ['*'] }));
  return rest(rollcall.url, method, path, { token, ...(body === undefined ? {} : { body }) });
}
