import type { RoomChange, Room as RoomTold } from '../protocol/rooms.ts';
import { type PresenceClient, PresenceError } from './index.ts';
import { createSignal, onceSoon } from './observable.ts';
import { applyPicture, applyRoomChange } from './room-state.ts';
import type { RoomData, RoomsClient, RoomUser, RoomView } from './room-types.ts';
import { createRoomUpdates } from './room-updates.ts';
import { type OpenRoom, roomView } from './room-view.ts';
import type { Part, Wire } from './wire.ts';

export type * from './room-types.ts';

/** Where the server could not answer and did not say when to ask again. */
const ASK_AGAIN_MS = 2000;
const MAY_GO_WELL_LATER = /^(UNAV|RATE|TIMEO)/;

const made = new WeakMap<PresenceClient, RoomsClient>();

/** Adds rooms to a client: who is here, on this page, in this document. Called again for the same client it changes nothing. */
export function withRooms(client: PresenceClient): RoomsClient {
  const added = made.get(client) ?? Object.assign(client, createRooms(client));
  made.set(client, added);
  return added;
}

function createRooms(client: PresenceClient): Pick<RoomsClient, 'room' | 'watchRoom'> {
  const rooms = new Map<string, OpenRoom>();
  /** Grows with every connection: what an earlier one answers comes too late. */
  let connection = 0;
  /** What the handshake named. */
  let named: OpenRoom[] = [];
  /** The last handshake was refused for its rooms: the next one names none, and each is asked for by itself. */
  let isNamingRefused = false;
  let wasAnywhere = false;
  let again: ReturnType<typeof setTimeout> | undefined;
  let wire!: Wire;
  let updates!: ReturnType<typeof createRoomUpdates>;

  const bringAll = onceSoon(() => {
    for (const room of rooms.values()) void bring(room);
  });

  /** Has the server know of one room what is wanted of it here, one request after the other. */
  async function bring(room: OpenRoom): Promise<void> {
    if (room.asking === connection) return;
    const mine = connection;
    room.asking = mine;
    try {
      while (mine === connection) {
        const { roomId, data } = room;
        const isWanted = room.holders.size > 0;
        const isWatched = !isWanted && room.watchers.size > 0;
        if (isWanted && !room.isThere && !room.error) {
          const answer = await wire.request('join_room', { roomId, data });
          if (mine !== connection) return;
          room.said = JSON.stringify(data);
          isIn(room, answer.room);
        } else if (isWatched && !room.isWatched && !room.error) {
          const answer = await wire.request('watch_room', { roomId });
          if (mine !== connection) return;
          room.isWatched = true;
          pictured(room, answer.room);
        } else if (room.isThere && !isWanted) {
          await wire.request('leave_room', { roomId });
          Object.assign(room, { isThere: false, isHidden: false });
          if (room.known?.isCounted) show(room);
          madeRoom();
        } else if (room.isWatched && !isWatched) {
          await wire.request('unwatch_room', { roomId });
          room.isWatched = false;
          madeRoom();
        } else {
          if (!isWanted && !isWatched) rooms.delete(roomId);
          return;
        }
      }
    } catch (thrown) {
      if (mine === connection) failed(room, thrown as PresenceError);
    } finally {
      if (room.asking === mine) room.asking = undefined;
    }
  }

  function failed(room: OpenRoom, error: PresenceError): void {
    // What there was no connection for is said again with the next one.
    if (error.code === 'NOT_CONNECTED') return;
    if (MAY_GO_WELL_LATER.test(error.code)) {
      clearTimeout(again);
      again = setTimeout(bringAll, error.retryAfterMs ?? ASK_AGAIN_MS);
      return;
    }
    refuse(room, error);
  }

  function refuse(room: OpenRoom, error: PresenceError): void {
    const isNews = room.refusal !== error.code;
    room.refusal = error.code;
    Object.assign(room, { error, known: undefined, isFresh: false, held: [] });
    show(room);
    if (isNews) wire.report(error);
  }

  /** Something was let go of, so that there may be space for what was too many. */
  function madeRoom(): void {
    for (const room of rooms.values()) if (room.error?.code.startsWith('TOO_MANY')) room.error = undefined;
    bringAll();
  }

  function isIn(room: OpenRoom, told: RoomTold): void {
    room.isThere = true;
    wasAnywhere = true;
    pictured(room, told);
    // A session that was over has lost what it said; one that goes on keeps it, and another of ours may have said something since.
    if (!told.users?.find(isMe)?.data) room.said = undefined;
    updates.say(room);
  }

  const isMe = ({ userId }: { userId: string }) => userId === client.userId;

  /** Ourselves where we are there: of a large room the server names the first hundred, or nobody. */
  function mine({ isThere, isHidden, known, data }: OpenRoom): RoomUser | undefined {
    const { userId } = client;
    if (!userId || !isThere || isHidden || client.get(userId)?.status === 'inactive') return undefined;
    return known?.users.get(userId) ?? { userId, data: data ?? null };
  }

  /** Whether it was news. */
  function hear(room: OpenRoom, change: RoomChange): boolean {
    const { known } = room;
    if (!known) return false;
    room.known = applyRoomChange(known, change, mine(room));
    if (room.known === known) return false;
    if (room.known.users.has(client.userId ?? '')) room.isHidden = false;
    else if (change.left?.some(isMe)) room.isHidden = room.isThere;
    return true;
  }

  function pictured(room: OpenRoom, told: RoomTold): void {
    room.refusal = undefined;
    // Of this connection: what an earlier one told says nothing of the order.
    if (!room.isFresh || !room.known || told.version >= room.known.version) {
      room.known = applyPicture(room.known, told, mine(room));
    }
    room.isFresh = true;
    for (const change of room.held.splice(0)) hear(room, change);
    show(room);
  }

  function show(room: OpenRoom): void {
    room.view = undefined;
    room.changed.emit();
  }

  const part: Part = {
    handshake() {
      const wanted = [...rooms.values()].filter(({ holders, error }) => holders.size > 0 && !error);
      named = isNamingRefused ? [] : wanted;
      // To name none ends what this session is in. Without a list it stays for a moment, to be joined again.
      if (isNamingRefused || (named.length === 0 && !wasAnywhere)) return {};
      return { rooms: named.map(unlessSaid) };
    },
    ready(ready, socket) {
      connection += 1;
      isNamingRefused = false;
      clearTimeout(again);
      updates.stop();
      for (const room of rooms.values()) {
        Object.assign(room, { isThere: false, isWatched: false, isFresh: false, held: [] });
        // The token may name it by now.
        if (room.error?.code !== 'KICKED') room.error = undefined;
      }
      socket.on('room_change', (change) => {
        const room = rooms.get(change.roomId);
        if (!room || room.error) return;
        if (!room.isFresh || !room.known) return void room.held.push(change);
        if (hear(room, change)) show(room);
      });
      socket.on('room_closed', ({ roomId, reason }) => {
        const room = rooms.get(roomId);
        if (!room) return;
        room.isThere = false;
        if (reason === 'kicked' && room.holders.size === 0) return;
        room.isWatched = false;
        const code = reason === 'kicked' ? 'KICKED' : 'FORBIDDEN';
        refuse(room, new PresenceError(code, `No longer in the room ${roomId}: ${reason}.`));
      });
      for (const told of ready.rooms ?? []) isIn(rooms.get(told.roomId) ?? open(told.roomId), told);
      bringAll();
    },
    refused({ code }) {
      if (named.length === 0 || !/^(FORBIDDEN|INVALID_REQUEST|TOO_MANY_ROOMS)$/.test(code)) return false;
      isNamingRefused = true;
      return true;
    },
  };

  function open(roomId: string): OpenRoom {
    const room: OpenRoom = {
      roomId,
      changed: createSignal<void>(),
      holders: new Set(),
      watchers: new Set(),
      data: undefined,
      said: undefined,
      isThere: false,
      isWatched: false,
      isHidden: false,
      isFresh: false,
      asking: undefined,
      held: [],
      known: undefined,
      error: undefined,
      refusal: undefined,
      view: undefined,
    };
    rooms.set(roomId, room);
    return room;
  }

  function hold(roomId: string, by: 'holders' | 'watchers') {
    const room = rooms.get(roomId) ?? open(roomId);
    const holder = {};
    room[by].add(holder);
    if (room.error) {
      room.error = undefined;
      show(room);
    }
    bringAll();
    return {
      room,
      get: () => view(room),
      subscribe: room.changed.subscribe,
      // In a microtask: a component that is mounted anew in the same tick keeps the room.
      end: () => void (room[by].delete(holder) && bringAll()),
    };
  }

  /** As the handshake names it: what was said already goes on with the session. */
  function unlessSaid(room: OpenRoom) {
    const { roomId, data } = room;
    const text = JSON.stringify(data);
    if (text === room.said) return { roomId };
    room.said = text;
    return { roomId, data };
  }

  const view = (room: OpenRoom): RoomView => {
    if (!room.view || room.viewer !== client.userId) room.view = roomView(room, client.userId);
    room.viewer = client.userId;
    return room.view;
  };

  client.add((given) => {
    wire = given;
    updates = createRoomUpdates(wire, () => connection);
    return part;
  });
  return {
    room(roomId, { data } = {}) {
      const { room, end, ...held } = hold(roomId, 'holders');
      const update = (data: RoomData) => {
        room.data = data;
        updates.say(room);
        if (room.known?.isCounted) show(room);
      };
      if (data) update(data);
      return { ...held, update, leave: end };
    },
    watchRoom(roomId) {
      const { room: _, end, ...held } = hold(roomId, 'watchers');
      return { ...held, unwatch: end };
    },
  };
}
