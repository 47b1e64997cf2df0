import type { FollowUps } from '../src/queues/follow-ups.ts';
import { isRedisAway } from '../src/redis/absence.ts';
import { SHARDS, shardOf } from '../src/redis/keys.ts';
import type { OutboxEntry } from '../src/redis/outbox-entry.ts';
import type { ToldOfRooms } from '../src/redis/room-types.ts';
import type { Stores } from '../src/stores.ts';
import { Backoff } from './backoff.ts';
import { vacateForgotten } from './rooms-told.ts';

const AT_ONCE = 200;
/** What changed while it was compared is seen to by those who changed it; a failover may have lost what they did. */
const ANYWAY_EVERY_MS = 600_000;
/** Time for the webs to say again where their sessions are, before anybody is taken for gone. */
const RETURN_MS = 5000;
/** Of what was told longer ago it is not known any more what came after it (`LEFT_MS` in lua/lib-room.lua): the users are asked. */
const LATE_MS = 15_000;

type RoomStores = Pick<Stores, 'roomLists' | 'userRooms' | 'deadlines' | 'pulse' | 'keys' | 'clock' | 'db'>;

/**
 * The lists of rooms follow what is told of users, in its order, before that is acknowledged. In a cluster the node of a room may be away
 * while that of the user is here: nobody else has to wait for it, and all lists are compared with the truth once it is back.
 */
export class RoomFollower {
  readonly #stores: RoomStores;
  readonly #followUps: FollowUps;
  readonly #backoff = new Backoff();
  /** When (performance.now()) the lists are to be told where everybody is, and when those who are not there are to be dropped from them. */
  #tellAt = 0;
  #dropAt = performance.now() + RETURN_MS;
  #unsettling: Promise<void> = Promise.resolve();

  /**
   * Compares once a worker has started, and after every return of Redis, which may have come back with less or older. `timeToReturnMs`: who
   * lives is back within so long after a loss.
   */
  constructor(stores: RoomStores, followUps: FollowUps, timeToReturnMs: number) {
    this.#stores = stores;
    this.#followUps = followUps;
    stores.pulse.onBack(() => this.#compareAnew());
    stores.pulse.onLost(() => {
      this.#unsettling = stores.roomLists.unsettle(timeToReturnMs);
      this.#compareAnew();
    });
  }

  /** Brings the lists up to these entries. Rejects where Redis is away. */
  async follow(entries: readonly OutboxEntry[]): Promise<void> {
    const told = entries.flatMap((entry) => (entry.kind === 'rooms' ? [entry] : []));
    if (told.length === 0) return;
    const left = notShown(newest(told), entries);
    if (left.length === 0) return;
    const since = this.#stores.clock.now() - LATE_MS;
    try {
      const { late = [], fresh = [] } = Object.groupBy(left, ({ sequence }) => (sequence < since ? 'late' : 'fresh'));
      await this.#apply(fresh);
      await this.#apply(await this.#asTheyAre(late));
    } catch (error) {
      if (this.#stores.keys.slotGroups.length === 1 || !isRedisAway(error)) throw error;
      this.#compareAnew();
    }
  }

  /** Compares the lists with the truth where that is due; what failed is done again, at first after a second and then ever more seldom. */
  async pass(): Promise<void> {
    const now = performance.now();
    const due = { tell: this.#tellAt, drop: this.#dropAt };
    if (Math.min(due.tell, due.drop) > now || this.#backoff.isWaiting) return;
    try {
      await this.#unsettling;
      if (due.tell <= now) {
        await this.tellAll();
        if (this.#tellAt === due.tell) this.#tellAt = now + ANYWAY_EVERY_MS;
      }
      if (due.drop <= now) {
        const waitMs = await this.#stores.roomLists.unsettledMs();
        if (waitMs === 0) await this.dropGone(() => this.#dropAt === due.drop);
        if (this.#dropAt === due.drop) this.#dropAt = now + (waitMs || ANYWAY_EVERY_MS);
      }
    } catch (error) {
      this.#backoff.failed();
      throw error;
    }
    this.#backoff.reset();
  }

  /** Tells the lists what all users are in. Rejects where Redis is away. */
  async tellAll(): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      for (let cursor = ''; cursor !== '0'; ) {
        const page = await this.#stores.deadlines.page(shard, cursor || '0', AT_ONCE);
        const users = await this.#truths(shard, await this.#stores.userRooms.whoAreInRooms(page.userIds));
        await this.#apply(users);
        cursor = page.cursor;
      }
    }
  }

  /**
   * Drops those from the lists who are not there, and tells of rooms that were left while Redis had forgotten them; goes no further once it
   * is not `isDue` any more, for whoever Redis loses meanwhile has to have time to return. Rejects where a store is away.
   */
  async dropGone(isDue: () => boolean): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      for (let cursor = ''; cursor !== '0'; ) {
        const page = await this.#stores.roomLists.page(shard, cursor || '0', AT_ONCE);
        for (const roomId of page.roomIds) {
          if (!isDue()) return;
          await this.#compareRoom(roomId, isDue);
        }
        cursor = page.cursor;
      }
    }
    await vacateForgotten(this.#stores);
  }

  /** Where these users are by now, as far as these entries say something of it. */
  async #asTheyAre(late: readonly ToldOfRooms[]): Promise<ToldOfRooms[]> {
    const found: ToldOfRooms[] = [];
    for (const [shard, some] of Map.groupBy(late, ({ userId }) => shardOf(userId))) {
      const truths = new Map(
        (await this.#truths(shard, [...new Set(some.map(({ userId }) => userId))])).map((told) => [told.userId, told]),
      );
      for (const { userId, sequence, rooms } of some) {
        const truth = truths.get(userId);
        const now = [...rooms.keys()].map((roomId) => [roomId, null] as const);
        found.push({
          userId,
          sequence: Math.max(sequence, truth?.sequence ?? 0),
          rooms: new Map([...now, ...(truth?.rooms ?? [])]),
        });
      }
    }
    return found;
  }

  async #compareRoom(roomId: string, isDue: () => boolean): Promise<void> {
    for (let after = ''; ; ) {
      const { members, more } = await this.#stores.roomLists.read(roomId, after, AT_ONCE);
      const truths = new Map<string, ToldOfRooms>();
      for (const [shard, some] of Map.groupBy(members, ({ userId }) => shardOf(userId))) {
        const users = await this.#truths(
          shard,
          some.map(({ userId }) => userId),
        );
        // A node that has just been emptied says of everybody that they are nowhere, and this process may not know of it yet.
        const epoch = await this.#stores.userRooms.epoch(shard);
        if (epoch === null || epoch !== this.#stores.pulse.epochOf(shard) || !isDue()) return;
        for (const user of users) truths.set(user.userId, user);
      }
      await this.#apply(
        members.flatMap(({ userId, sequence }) => {
          const truth = truths.get(userId);
          if (truth?.rooms.has(roomId)) return [];
          // Newer than what stands there, and older than whatever they do next.
          return [{ userId, sequence: Math.max(truth?.sequence ?? 0, sequence + 1), rooms: new Map([[roomId, null]]) }];
        }),
      );
      const last = members.at(-1);
      if (!more || !last) return;
      after = last.userId;
    }
  }

  async #truths(shard: number, userIds: readonly string[]): Promise<ToldOfRooms[]> {
    if (userIds.length === 0) return [];
    const { users, followUp } = await this.#stores.userRooms.ofUsers(shard, userIds);
    this.#followUps.add(followUp);
    return users.map(({ told }) => told);
  }

  async #apply(told: readonly ToldOfRooms[]): Promise<void> {
    if (told.length === 0) return;
    const { applied } = await this.#stores.roomLists.apply(told);
    for (const { followUp } of applied) this.#followUps.add(followUp);
  }

  #compareAnew(): void {
    const now = performance.now();
    this.#tellAt = now;
    this.#dropAt = now + RETURN_MS;
    this.#backoff.reset();
  }
}

/**
 * Without what the lists have already: whoever made it has applied it, as an entry of the room's own says that is taken together with it. To
 * apply it once more would do nothing.
 */
function notShown(told: readonly ToldOfRooms[], entries: readonly OutboxEntry[]): ToldOfRooms[] {
  const shown = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind !== 'room' || entry.member === null || entry.sequence === null) continue;
    const pair = pairOf(entry.member.userId, entry.roomId);
    shown.set(pair, Math.max(entry.sequence, shown.get(pair) ?? 0));
  }
  if (shown.size === 0) return [...told];
  return only(told, ({ userId, sequence }, roomId) => (shown.get(pairOf(userId, roomId)) ?? -1) < sequence);
}

/** Of each user and room the last, for what came between is nobody's news any more. */
function newest(told: readonly ToldOfRooms[]): ToldOfRooms[] {
  const last = new Map<string, ToldOfRooms>();
  for (const one of told) for (const roomId of one.rooms.keys()) last.set(pairOf(one.userId, roomId), one);
  return only(told, (one, roomId) => last.get(pairOf(one.userId, roomId)) === one);
}

function only(told: readonly ToldOfRooms[], isWanted: (one: ToldOfRooms, roomId: string) => boolean): ToldOfRooms[] {
  return told.flatMap((one) => {
    const rooms = [...one.rooms].filter(([roomId]) => isWanted(one, roomId));
    return rooms.length > 0 ? [{ ...one, rooms: new Map(rooms) }] : [];
  });
}

/** No id has a blank. */
const pairOf = (userId: string, roomId: string) => `${userId} ${roomId}`;
