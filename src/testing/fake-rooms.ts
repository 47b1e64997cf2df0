import type { RoomUser } from '../client/room-types.ts';
import type { Part, PresenceSocket } from '../client/wire.ts';

type RoomData = Readonly<Record<string, unknown>>;
type Picture = NonNullable<Parameters<Part['ready']>[0]['rooms']>[number];
interface Told {
  room_change: Picture;
  room_closed: { roomId: string; reason: 'kicked' | 'forbidden' };
}

interface FakeRoomsHooks {
  now(): number;
  me: string;
  /** Whether the one who is signed in appears inactive, and so is in no room for anybody. */
  isHidden(): boolean;
}

/** Rooms as a server would know them: others come and go as the test says, the one who is signed in as the application asks. */
export function createFakeRooms({ now, me, isHidden }: FakeRoomsHooks) {
  const rooms = new Map<string, Map<string, RoomUser>>();
  /** Where the application's own session is, and what it only looks at. */
  const mine = new Map<string, RoomData | null>();
  const watched = new Set<string>();
  const parts: Part[] = [];
  const listeners = new Map<string, (told: never) => void>();
  let version = 0;
  let isConnected = false;

  function emit<E extends keyof Told>(event: E, told: Told[E]): void {
    if (isConnected) listeners.get(event)?.(told as never);
  }

  function usersOf(roomId: string): Map<string, RoomUser> {
    const users = rooms.get(roomId) ?? new Map<string, RoomUser>();
    rooms.set(roomId, users);
    return users;
  }

  function pictureOf(roomId: string): Picture {
    const users = [...usersOf(roomId).values()].map(({ data, ...user }) => ({ ...user, data: data && { ...data } }));
    return { roomId, version, count: users.length, users } as Picture;
  }

  function put(roomId: string, userId: string, data: RoomData | null | undefined): void {
    const users = usersOf(roomId);
    const before = users.get(userId);
    const since = before?.since ?? new Date(now()).toISOString();
    users.set(userId, { userId, since, data: data === undefined ? (before?.data ?? null) : data });
    tell(roomId);
  }

  function remove(roomId: string, userId: string): void {
    if (usersOf(roomId).delete(userId)) tell(roomId);
  }

  function tell(roomId: string): void {
    version += 1;
    if (mine.has(roomId) || watched.has(roomId)) emit('room_change', pictureOf(roomId));
  }

  const on = ((event: string, listener: (told: never) => void) => {
    listeners.set(event, listener);
  }) as PresenceSocket['on'];
  const socket = { on };

  function join(roomId: string, data: RoomData | null | undefined): void {
    mine.set(roomId, data ?? mine.get(roomId) ?? null);
    if (!isHidden()) put(roomId, me, data ?? undefined);
  }

  return {
    /** What a part of the client asks for in an event of rooms; undefined for another event. */
    ask(event: string, { roomId, data }: { roomId: string; data?: RoomData }) {
      if (event === 'join_room') {
        join(roomId, data);
        return { room: pictureOf(roomId) };
      }
      if (event === 'watch_room') {
        watched.add(roomId);
        return { room: pictureOf(roomId) };
      }
      if (event === 'unwatch_room') watched.delete(roomId);
      if (event === 'update_room') join(roomId, data);
      if (event === 'leave_room') {
        mine.delete(roomId);
        remove(roomId, me);
      }
      return {};
    },
    add(part: Part): void {
      parts.push(part);
      if (isConnected) part.ready({} as never, socket);
    },
    /** The client connects: with the rooms that it names, and no others. */
    connected(): void {
      isConnected = true;
      for (const part of parts) {
        const { rooms: named } = part.handshake();
        if (named)
          for (const roomId of [...mine.keys()]) if (!named.some((room) => room.roomId === roomId)) this.out(roomId);
        for (const { roomId, data } of named ?? []) join(roomId, data);
        part.ready({ rooms: named?.map(({ roomId }) => pictureOf(roomId)) } as never, socket);
      }
    },
    /** The connection is gone; `isOver`: so is the session, in which the one who is signed in was there. */
    lost(isOver: boolean): void {
      isConnected = false;
      listeners.clear();
      watched.clear();
      if (isOver) for (const roomId of [...mine.keys()]) this.out(roomId);
    },
    out(roomId: string): void {
      mine.delete(roomId);
      remove(roomId, me);
    },
    /** Appearing inactive begins as a leaving and ends as a coming. */
    hiddenChanged(): void {
      for (const [roomId, data] of mine) {
        if (isHidden()) remove(roomId, me);
        else put(roomId, me, data);
      }
    },
    enter: (userId: string, roomId: string, data?: RoomData) => put(roomId, userId, data),
    exit: remove,
    exitAll(userId: string): void {
      for (const roomId of rooms.keys()) remove(roomId, userId);
    },
    close(roomId: string, reason: Told['room_closed']['reason']): void {
      if (!mine.has(roomId) && !watched.has(roomId)) return;
      this.out(roomId);
      watched.delete(roomId);
      emit('room_closed', { roomId, reason });
    },
  };
}
