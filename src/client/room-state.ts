import type { Room, RoomChange } from '../protocol/rooms.ts';
import type { RoomUser } from './room-types.ts';

/** A room as this client knows it. */
export interface KnownRoom {
  readonly version: number;
  readonly count: number;
  readonly users: ReadonlyMap<string, RoomUser>;
  /** So large that the server tells its count alone. */
  readonly isCounted: boolean;
}

/** What is known of a room after a picture, which replaces what was known. `mine`: who is there for certain, whether a picture of a part names them or not. */
export function applyPicture(
  known: KnownRoom | undefined,
  { version, count, users, nextCursor }: Room,
  mine?: RoomUser,
): KnownRoom {
  const all = new Map(users?.map((user) => [user.userId, keepIfSame(known, user)]));
  const isCounted = users === undefined;
  if (mine && (isCounted || nextCursor) && !all.has(mine.userId)) all.set(mine.userId, mine);
  return { version, count, users: all, isCounted };
}

/** What is known of a room after what was told of it, which counts only where it is newer: all of it, what happened, or of a large room its count. */
export function applyRoomChange(known: KnownRoom, change: RoomChange, mine?: RoomUser): KnownRoom {
  const { version, count, joined, changed = [], left = [] } = change;
  if (version <= known.version) return known;
  if (!joined) return applyPicture(known, change, mine);
  const users = new Map(known.users);
  for (const { userId } of left) users.delete(userId);
  for (const user of joined) users.set(user.userId, keepIfSame(known, user));
  for (const user of changed) {
    const before = users.get(user.userId);
    // Of a room with many users the first alone are known.
    if (before) users.set(user.userId, keepIfSame(known, { since: before.since, ...user }));
  }
  return { version, count, users, isCounted: false };
}

/** Those in a room, who came first before who came later: a row of faces grows at its end. */
export function inOrder({ users }: KnownRoom): readonly RoomUser[] {
  const key = ({ since = '~', userId }: RoomUser) => `${since} ${userId}`;
  return [...users.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function keepIfSame(known: KnownRoom | undefined, { userId, since, data, idle }: RoomUser): RoomUser {
  const user = { userId, ...(since && { since }), data, ...(idle && { idle }) };
  const before = known?.users.get(userId);
  return before && JSON.stringify(before) === JSON.stringify(user) ? before : user;
}
