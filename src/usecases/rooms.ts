import type { Access } from '../presence/visibility.ts';
import type { Room, RoomAnswer, RoomCount, RoomUser, UserRoom } from '../protocol/rooms.ts';
import { shardOf } from '../redis/keys.ts';
import { type Applied, PICTURED } from '../redis/list-writes.ts';
import type { ListedMember, RoomCounts, RoomPicture, ToldOfRooms } from '../redis/room-types.ts';
import type { RoomChangeCode, RoomChanged, RoomOfUser, RoomSession } from '../redis/user-rooms.ts';
import type { Stores } from '../stores.ts';
import { AuditLog } from './audit.ts';
import { writeListCursor } from './cursors.ts';
import { iso } from './payloads.ts';
import type { Presence } from './presence.ts';
import { roomUserOf } from './room-payloads.ts';
import { orUnavailable, unavailable } from './unavailable.ts';

/** Where most of a room may not be seen, a page is shorter than it was asked to be: so many more are read for it, each twice as large, up to so many users. */
const MOST_PAGES = 10;
const MOST_READ = 1000;

/** What a viewer may know of a room. */
export interface SeenRoom {
  room: Room;
  /** Those there who do not show everything to everybody, as far as the viewer may see them; null: all are seen, or counted only. */
  shown: Map<string, Access>;
}

/** What the routes ask about rooms. Whether the caller may has been settled by then. A viewer of null sees everything. */
export interface RoomsApi {
  /** A page of who is in a room, behind a user. Throws UNAVAILABLE. */
  page(viewerId: string | null, roomId: string, page: { limit: number; after: string }): Promise<RoomAnswer>;
  /** How many are in rooms, in their order. Throws UNAVAILABLE. */
  counts(viewerId: string | null, roomIds: readonly string[]): Promise<RoomCount[]>;
  /** The rooms with the most users. Throws UNAVAILABLE. */
  fullest(limit: number): Promise<RoomCount[]>;
  /** The rooms a user is in, whether others are told or not. Throws USER_NOT_FOUND or UNAVAILABLE. */
  ofUser(userId: string): Promise<UserRoom[]>;
  /** Takes a user out of a room; nothing happens where they are not there. `by`: who does it, for the audit. Throws UNAVAILABLE. */
  putOut(roomId: string, userId: string, by: string): Promise<void>;
}

/** Rooms: who is in which, and what a viewer may know of it. Throws UNAVAILABLE where a store is away. */
export class Rooms implements RoomsApi {
  readonly #stores: Stores;
  readonly #people: Pick<Presence, 'followUps' | 'reads'>;
  readonly #audit: AuditLog;
  readonly #limit: number;
  /** By shard: until what was put off there is due. */
  readonly #owed = new Map<number, NodeJS.Timeout>();
  /** Of pages of which everybody may see all what is told of them, which is made once for as long as they are kept. */
  readonly #open = new WeakMap<readonly ListedMember[], RoomUser[] | null>();
  #stopped = false;

  constructor(
    stores: Stores,
    people: Pick<Presence, 'followUps' | 'reads'>,
    config: { roomUsersLimit: number; ttlMs: number; handoverMs: number },
  ) {
    this.#stores = stores;
    this.#people = people;
    this.#audit = new AuditLog(stores);
    this.#limit = config.roomUsersLimit;
    // Until all who live have had the time to come back, nobody knows who is in rooms.
    stores.pulse.onLost(() => void stores.roomLists.unsettle(config.ttlMs + config.handoverMs));
  }

  /** Tells nothing more of what was put off: the sweep does. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#owed.values()) clearTimeout(timer);
    this.#owed.clear();
  }

  /**
   * A session comes to a room, or says something new there; with the picture of it, where it is there. `since` (ms): it was there before
   * Redis lost it.
   */
  async join(session: RoomSession, data: string, since = 0): Promise<RoomChanged & { picture: RoomPicture | null }> {
    return orUnavailable(async () => {
      const changed = await this.#stores.userRooms.join(session, data, since);
      return { ...changed, picture: await this.#show(changed, changed.code === 'ok' ? session.roomId : null) };
    });
  }

  /** A session that Redis knows is where it was before Redis forgot that. */
  async goOn(session: RoomSession, data: string, since: number): Promise<RoomChangeCode> {
    return orUnavailable(async () => this.#taken(await this.#stores.userRooms.goOn(session, data, since)));
  }

  /** Has the lists follow what a user is in, and returns that, by room. */
  async tellAgain(userId: string): Promise<Map<string, RoomOfUser>> {
    return orUnavailable(async () => {
      const { users, followUp } = await this.#stores.userRooms.ofUsers(shardOf(userId), [userId]);
      this.#people.followUps.add(followUp);
      await this.apply(users.map(({ told }) => told));
      return new Map(users.flatMap(({ rooms }) => rooms.map((room) => [room.roomId, room])));
    });
  }

  /** Where some users of a shard are, whether others are told or not. */
  async whereAre(shard: number, userIds: readonly string[]): Promise<Map<string, RoomOfUser[]>> {
    const { users, followUp } = await orUnavailable(() => this.#stores.userRooms.ofUsers(shard, userIds));
    this.#people.followUps.add(followUp);
    return new Map(users.map(({ told, rooms }) => [told.userId, rooms]));
  }

  /** A session says something new of itself in a room. */
  async update(session: RoomSession, data: string): Promise<RoomChangeCode> {
    return orUnavailable(async () => this.#taken(await this.#stores.userRooms.update(session, data)));
  }

  /** A session leaves a room. */
  async leave(session: RoomSession): Promise<RoomChangeCode> {
    return orUnavailable(async () => this.#taken(await this.#stores.userRooms.leave(session)));
  }

  async putOut(roomId: string, userId: string, by: string): Promise<void> {
    const code = await orUnavailable(async () => this.#taken(await this.#stores.userRooms.putOut(userId, roomId)));
    if (code === 'ok') await this.#audit.note({ actor: by, act: 'kick', subject: userId, detail: { roomId } });
  }

  /** A picture of a room as it is, whoever looks. */
  read(roomId: string, after = '', most = PICTURED + 1): Promise<RoomPicture> {
    return orUnavailable(() => this.#stores.roomLists.read(roomId, after, most));
  }

  /** Brings the rooms' lists up to what is told of users, at once; what is told is told again by a worker. Returns a picture. */
  async apply(told: readonly ToldOfRooms[], pictured: string | null = null): Promise<RoomPicture | null> {
    const { applied, picture } = await this.#stores.roomLists.apply(told, pictured);
    this.#take(applied);
    return picture;
  }

  /** What a viewer is shown of a room with this picture; where it is not known who is there, UNAVAILABLE unless `anyway`. */
  async see(viewerId: string | null, picture: RoomPicture, { anyway = false } = {}): Promise<SeenRoom> {
    if (picture.unsettled && !anyway) throw unsettled();
    const { roomId, version } = picture;
    const known = await this.#accesses(picture.closed, viewerId);
    const count = countFor(viewerId, picture.counts, known, this.#limit);
    if (picture.big) return { room: { roomId, version, count }, shown: new Map() };
    const { users, next } = await this.#users(viewerId, picture, known, PICTURED);
    const shown = new Map([...known].filter(([, access]) => access !== 'nothing'));
    return { room: { roomId, version, count, users, ...(next === null ? {} : { nextCursor: next }) }, shown };
  }

  async page(
    viewerId: string | null,
    roomId: string,
    { limit, after }: { limit: number; after: string },
  ): Promise<RoomAnswer> {
    const picture = await this.read(roomId, after, limit + 1);
    if (picture.unsettled) throw unsettled();
    const known = await this.#accesses(picture.closed, viewerId);
    const { users, next } = await this.#users(viewerId, picture, known, limit);
    const count = countFor(viewerId, picture.counts, known, this.#limit);
    return { roomId, version: picture.version, count, users, nextCursor: next };
  }

  async counts(viewerId: string | null, roomIds: readonly string[]): Promise<RoomCount[]> {
    const found = await orUnavailable(() => this.#stores.roomLists.counts([...new Set(roomIds)]));
    if (found.unsettled) throw unsettled();
    const closed = new Set([...found.rooms.values()].flatMap((room) => room.closed));
    const accesses = await this.#accesses([...closed], viewerId);
    return roomIds.map((roomId) => {
      const room = found.rooms.get(roomId);
      if (!room) return { roomId, count: 0 };
      const known = new Map(room.closed.map((userId) => [userId, accesses.get(userId) ?? 'nothing']));
      return { roomId, count: countFor(viewerId, room.counts, known, this.#limit) };
    });
  }

  async fullest(limit: number): Promise<RoomCount[]> {
    const { unsettled: isUnsettled, rooms } = await orUnavailable(() => this.#stores.roomLists.fullest(limit));
    if (isUnsettled) throw unsettled();
    return rooms;
  }

  async ofUser(userId: string): Promise<UserRoom[]> {
    const rooms = (await this.whereAre(shardOf(userId), [userId])).get(userId) ?? [];
    if (rooms.length === 0) await this.#people.reads.requireKnown(userId);
    return rooms
      .map(({ roomId, since, sessions }) => ({
        roomId,
        since: iso(since),
        sessionIds: sessions.map(({ sessionId }) => sessionId),
      }))
      .sort((a, b) => (a.roomId < b.roomId ? -1 : 1));
  }

  async #taken(changed: RoomChanged): Promise<RoomChangeCode> {
    await this.#show(changed, null);
    return changed.code;
  }

  /** Has the lists show a change. Whoever drains the outboxes of the user and of the room is woken for both at once. */
  async #show({ told, followUp }: RoomChanged, pictured: string | null): Promise<RoomPicture | null> {
    try {
      return told || pictured !== null ? await this.apply(told ? [told] : [], pictured) : null;
    } finally {
      this.#people.followUps.add(followUp);
    }
  }

  #take(all: readonly Applied[]): void {
    for (const { shard, owedInMs, followUp } of all) {
      this.#people.followUps.add(followUp);
      if (owedInMs !== null) this.#owe(shard, owedInMs);
    }
  }

  #owe(shard: number, owedInMs: number): void {
    if (this.#stopped || this.#owed.has(shard)) return;
    const timer = setTimeout(() => {
      this.#owed.delete(shard);
      // What cannot be told now the sweep tells.
      this.#stores.roomLists
        .tellOwed(shard)
        .then((applied) => this.#take(applied))
        .catch(() => {});
    }, owedInMs + 1);
    this.#owed.set(shard, timer.unref());
  }

  /** There are more only where the viewer may see them: else it would be told that somebody is there. So pictures have one user more than is shown. */
  async #users(viewerId: string | null, first: RoomPicture, known: ReadonlyMap<string, Access>, most: number) {
    const open = this.#openOf(first.members);
    if (open) {
      const last = open.length > most ? open[most - 1] : undefined;
      return { users: open.slice(0, most), next: last ? writeListCursor(last.userId) : null };
    }
    const users: RoomUser[] = [];
    for (let page = first, pages = 0; ; pages++) {
      const unknown = page.members.filter(({ userId, openness }) => openness !== 'open' && !known.has(userId));
      const asked = await this.#accesses(
        unknown.map(({ userId }) => userId),
        viewerId,
      );
      for (const member of page.members) {
        const { userId, openness } = member;
        const access = openness === 'open' ? 'all' : (known.get(userId) ?? asked.get(userId) ?? 'nothing');
        if (access === 'nothing') continue;
        const last = users.at(-1);
        if (last && users.length === most) return { users, next: writeListCursor(last.userId) };
        users.push(roomUserOf(member, access));
      }
      const last = page.members.at(-1)?.userId;
      if (!page.more || last === undefined) return { users, next: null };
      if (pages === MOST_PAGES) return { users, next: writeListCursor(last) };
      page = await this.read(first.roomId, last, Math.min(MOST_READ, (most + 1) << pages));
    }
  }

  /** These as everybody is told of them; null: not everybody may see all of each. */
  #openOf(members: readonly ListedMember[]): RoomUser[] | null {
    const made = this.#open.get(members);
    if (made !== undefined) return made;
    const isOpen = members.every(({ openness }) => openness === 'open');
    const users = isOpen ? members.map((member) => roomUserOf(member, 'all')) : null;
    this.#open.set(members, users);
    return users;
  }

  /** What a viewer may see of each of these. */
  async #accesses(userIds: readonly string[], viewerId: string | null): Promise<Map<string, Access>> {
    if (viewerId === null) return new Map(userIds.map((userId) => [userId, 'all']));
    return userIds.length === 0 ? new Map() : this.#people.reads.accesses(userIds, viewerId);
  }
}

/**
 * How many a viewer is told are there: a service all; others those they may see, and above the limit those whom everybody may.
 * `known`: what the viewer may see of those who do not show everything to everybody.
 */
function countFor(
  viewerId: string | null,
  counts: RoomCounts,
  known: ReadonlyMap<string, Access>,
  limit: number,
): number {
  if (viewerId === null) return counts.all;
  if (counts.all > limit) return counts.everyone;
  return counts.open + [...known.values()].filter((access) => access !== 'nothing').length;
}

function unsettled() {
  const message = 'Redis has lost who is in rooms, and not everybody had the time to come back: try again in a moment.';
  return unavailable(undefined, message);
}
