import { LRUCache } from 'lru-cache';
import { shardOf } from './keys.ts';
import {
  type Applied,
  epochOf,
  type ListsWhere,
  ListWrites,
  type RoomLimits,
  runOnLists,
  type Written,
} from './list-writes.ts';
import { countsOf, pictureOf } from './room-reading.ts';
import type { RoomCounts, RoomPage, RoomPicture, ToldOfRooms } from './room-types.ts';
import type { Reply, ScriptName } from './scripts.ts';

/** Of pages that were read so many characters are kept. */
const KEPT_LENGTH = 2_000_000;

/**
 * The lists of who is in which room: they follow what is told of users, each in the shard of the room. Errors are those of ioredis where
 * Redis is away.
 */
export class RoomLists {
  readonly #where: ListsWhere;
  readonly #limits: RoomLimits;
  readonly #writes: ListWrites;
  /** Pages as they were read last, with the version of the last change and the store that it was of: while both are the same, so are they. */
  readonly #pages = new LRUCache<string, { page: RoomPage; version: string; epoch: string }>({ maxSize: KEPT_LENGTH });

  constructor(where: ListsWhere, limits: RoomLimits) {
    this.#where = where;
    this.#limits = limits;
    this.#writes = new ListWrites(where, limits);
  }

  /**
   * Brings the lists up to what is told of users; what they know already does nothing. Where one of the rooms is `pictured`, its
   * picture is taken in the same step. Callers owe the follow-ups to the queues.
   */
  apply(all: readonly ToldOfRooms[], pictured: string | null = null): Promise<Written> {
    return this.#writes.apply(all, pictured);
  }

  /** Tells what was put off in a shard and is due. */
  tellOwed(shard: number): Promise<Applied[]> {
    return this.#writes.tellOwed(shard);
  }

  /** Who is in a room, by their ids from behind one of them on. */
  async read(roomId: string, after: string, most: number): Promise<RoomPicture> {
    const shard = shardOf(roomId);
    const epoch = this.#epoch(shard);
    const name = `${most} ${roomId} ${after}`;
    const kept = this.#pages.get(name);
    const known = kept?.epoch === epoch ? kept : undefined;
    const reply = await this.#run('read-room', shard, [epoch, roomId, after, most, known?.version ?? '']);
    const picture = pictureOf(roomId, reply, known?.page);
    const version = String(reply[2]);
    // Without a version it is of a room that is forgotten as soon as nobody is there; without an epoch the store is not known.
    if (known?.version !== version && version !== '0' && epoch !== '') {
      const { counts, big, members, more, closed } = picture;
      const texts = [reply[5], reply[7]] as string[][];
      const size = texts.flat().reduce((sum, text) => sum + text.length, name.length + 1);
      this.#pages.set(name, { page: { counts, big, members, more, closed }, version, epoch }, { size });
    }
    return picture;
  }

  /** How many are in rooms, and all in them of whom not everybody may see all. */
  async counts(
    roomIds: readonly string[],
  ): Promise<{ unsettled: boolean; rooms: Map<string, { counts: RoomCounts; closed: string[] }> }> {
    const rooms = new Map<string, { counts: RoomCounts; closed: string[] }>();
    const asked = [...Map.groupBy(roomIds, shardOf)].map(async ([shard, ids]) => {
      const [unsettled, , ...found] = await this.#run('count-rooms', shard, [this.#epoch(shard), 0, ...ids]);
      for (const [n, roomId] of ids.entries()) {
        const [counts, closed] = found[n] as [string, string[]];
        rooms.set(roomId, { counts: countsOf(counts), closed });
      }
      return unsettled === 1;
    });
    const answers = await Promise.all(asked);
    return { unsettled: answers.includes(true), rooms };
  }

  /** The rooms with the most users, fullest first. */
  async fullest(limit: number): Promise<{ unsettled: boolean; rooms: { roomId: string; count: number }[] }> {
    const { keys } = this.#where;
    const replies = await Promise.all(
      keys.slotGroups.flat().map((shard) => this.#run('count-rooms', shard, [this.#epoch(shard), limit])),
    );
    const rooms = replies.flatMap(([, flat]) => {
      const texts = (flat as Reply[]).map(String);
      return texts.flatMap((roomId, n) => (n % 2 === 0 ? [{ roomId, count: Number(texts[n + 1]) }] : []));
    });
    rooms.sort((a, b) => b.count - a.count || (a.roomId < b.roomId ? -1 : 1));
    return { unsettled: replies.some(([unsettled]) => unsettled === 1), rooms: rooms.slice(0, limit) };
  }

  /** Some rooms of a shard that somebody is in, page by page: `cursor` '0' begins, and is answered where nothing is left. */
  async page(shard: number, cursor: string, count: number): Promise<{ cursor: string; roomIds: string[] }> {
    const { redis, keys } = this.#where;
    const [next, flat] = await redis.zscan(keys.roomCounts(shard), cursor, 'COUNT', count);
    return { cursor: next, roomIds: flat.filter((_, n) => n % 2 === 0) };
  }

  /** Has lists and counts count as not known for so long: Redis has lost who is in rooms. */
  async unsettle(ms: number): Promise<void> {
    const { redis, keys } = this.#where;
    const names = new Set(keys.pulseShards.map((shard) => keys.roomsUnsettled(shard)));
    await Promise.allSettled([...names].map((name) => redis.set(name, '1', 'PX', Math.max(1, Math.round(ms)))));
  }

  /** For how long lists and counts still count as not known (ms); 0: they are known. */
  async unsettledMs(): Promise<number> {
    const { redis, keys } = this.#where;
    const names = new Set(keys.pulseShards.map((shard) => keys.roomsUnsettled(shard)));
    return Math.max(0, ...(await Promise.all([...names].map((name) => redis.pttl(name)))));
  }

  /** Those of these rooms that nobody is in, and of which Redis will not say so by itself, for it has forgotten that somebody was. */
  async forgotten(roomIds: readonly string[]): Promise<string[]> {
    const { redis, keys } = this.#where;
    const { rooms } = await this.counts(roomIds);
    const empty = roomIds.filter((roomId) => (rooms.get(roomId)?.counts.all ?? 0) === 0);
    const known = await Promise.all(empty.map((roomId) => redis.hget(keys.room('state', roomId), 'o')));
    return empty.filter((_, n) => known[n] !== '1');
  }

  #epoch(shard: number): string {
    return epochOf(this.#where, shard);
  }

  #run(script: ScriptName, shard: number, args: (string | number)[]): Promise<Reply[]> {
    return runOnLists(this.#where, this.#limits, script, [shard], args);
  }
}
