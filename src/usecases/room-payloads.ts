import type { Access } from '../presence/visibility.ts';
import type { NamedRoom, RoomUser } from '../protocol/rooms.ts';
import type { RoomMember } from '../redis/room-types.ts';
import { iso } from './payloads.ts';

/** Rooms as a client names them, with what is said there as the stores keep it. */
export function namedRooms(rooms: readonly NamedRoom[]): { roomId: string; data: string }[] {
  return rooms.map(({ roomId, data }) => ({ roomId, data: data === undefined ? '' : JSON.stringify(data) }));
}

/** Somebody in a room, as a viewer with this access is told of them: since when is for who may know the last seen. */
export function roomUserOf({ userId, since, data, idle }: RoomMember, access: Exclude<Access, 'nothing'>): RoomUser {
  return {
    userId,
    ...(access === 'all' ? { since: iso(since) } : {}),
    data: data === '' ? null : JSON.parse(data),
    ...(idle ? { idle: true } : {}),
  };
}
