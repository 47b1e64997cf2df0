import type { RedisClient } from './connect.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { type Fetch, mergeNewest, type Place, type Sighting } from './newest-first.ts';
import { runScript } from './scripts.ts';
import { timeOf } from './time.ts';

/** As in lua/lib-record.lua: after so long without contact nothing expires until the webs have told of their beats. */
const OUT_OF_REACH_MS = 1500;
const PRUNED_AT_ONCE = 1000;
const SCANNED_AT_ONCE = 500;
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

export interface SeenIndexState {
  /** Redis's time (ms). */
  now: number;
  /** This store's name, and since when it runs (ms). */
  epoch: string;
  since: number;
  /** Everybody is in it, also those whom only PostgreSQL remembered when Redis came up empty. */
  complete: boolean;
  /** Redis was out of reach a moment ago and has not heard of all heartbeats yet. */
  held: boolean;
}

/**
 * Everybody who was seen in the last 30 days, by when. The scripts write it together with `user:last_seen`. Errors are
 * those of ioredis where Redis is away.
 */
export class SeenIndex {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Redis's time and epoch, whether everybody is in the index, and whether all heartbeats have been heard of. */
  async state(): Promise<SeenIndexState> {
    const { pulseShards, completed, epoch, pulse, hold } = this.#keys;
    const [now, completedFor, epochs, pulses, holds] = await Promise.all([
      timeOf(this.#redis, completed),
      this.#redis.hget(completed, 'epoch'),
      Promise.all(pulseShards.map((shard) => this.#redis.get(epoch(shard)))),
      Promise.all(pulseShards.map((shard) => this.#redis.get(pulse(shard)))),
      Promise.all(pulseShards.map((shard) => this.#redis.exists(hold(shard)))),
    ]);
    const name = epochs.join(',');
    return {
      now,
      epoch: name,
      since: Math.max(...epochs.map((each) => Number.parseInt(each ?? '0', 10))),
      complete: !epochs.includes(null) && completedFor === name,
      held: holds.includes(1) || pulses.some((at) => at !== null && now - Number(at) > OUT_OF_REACH_MS),
    };
  }

  /** How many are active at `now`, and how many were seen since each of these moments (ms). */
  async count(now: number, moments: number[]): Promise<{ active: number; seen: number[] }> {
    const { seen, due, apartDue, apartActive } = this.#keys;
    const counts = await Promise.all(
      ALL_SHARDS.map((shard) => {
        const keys = [seen, due, apartDue, apartActive].map((key) => key(shard));
        return runScript(this.#redis, 'count-seen', keys, [now, ...moments]);
      }),
    );
    const total = (place: number) => counts.reduce((sum, reply) => sum + Number(reply[place]), 0);
    return { active: total(0), seen: moments.map((_, n) => total(n + 1)) };
  }

  /**
   * At most `limit` users who were seen since `oldest` (ms), the newest first, from the place behind `after` on (null
   * begins).
   */
  async page(oldest: number, after: Place | null, limit: number): Promise<{ users: Sighting[]; more: boolean }> {
    const fetch: Fetch = async (shard, from, count) => {
      const begin = from === null ? ['', ''] : [from.lastSeen, from.userId];
      const flat = await runScript(this.#redis, 'page-seen', [this.#keys.seen(shard)], [oldest, count, ...begin]);
      return Array.from({ length: flat.length / 2 }, (_, n) => ({
        userId: String(flat[2 * n]),
        lastSeen: Number(flat[2 * n + 1]),
      }));
    };
    const users = await mergeNewest(ALL_SHARDS, fetch, after, limit + 1);
    return { users: users.slice(0, limit), more: users.length > limit };
  }

  /** Adds when users were last seen, as PostgreSQL remembers it; what is newer here stays. */
  async add(users: Sighting[]): Promise<void> {
    await Promise.all(
      [...Map.groupBy(users, ({ userId }) => shardOf(userId))].map(([shard, some]) =>
        this.#redis.zadd(this.#keys.seen(shard), 'GT', ...some.flatMap(({ userId, lastSeen }) => [lastSeen, userId])),
      ),
    );
  }

  /** How many are in the index. */
  async size(): Promise<number> {
    const sizes = await Promise.all(ALL_SHARDS.map((shard) => this.#redis.zcard(this.#keys.seen(shard))));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The ids of all who are in the index, some at a time. */
  async *everybody(): AsyncGenerator<string[]> {
    for (const shard of ALL_SHARDS) {
      let cursor = '0';
      do {
        const [next, flat] = await this.#redis.zscan(this.#keys.seen(shard), cursor, 'COUNT', SCANNED_AT_ONCE);
        cursor = next;
        const userIds = flat.filter((_, n) => n % 2 === 0);
        if (userIds.length > 0) yield userIds;
      } while (cursor !== '0');
    }
  }

  /** Drops those who were seen last before `moment` (ms), a bounded number in each command; returns how many. */
  async prune(moment: number): Promise<number> {
    let dropped = 0;
    for (const shard of ALL_SHARDS) {
      const key = this.#keys.seen(shard);
      const before = `(${moment}`;
      for (;;) {
        const place = PRUNED_AT_ONCE - 1;
        const [, last] = await this.#redis.zrange(key, '-inf', before, 'BYSCORE', 'LIMIT', place, 1, 'WITHSCORES');
        dropped += await this.#redis.zremrangebyscore(key, '-inf', last ?? before);
        if (last === undefined) break;
      }
    }
    return dropped;
  }

  /** Up to which id (in PostgreSQL's order) this store was completed; '' where that has not begun. */
  async completedUpTo(epoch: string): Promise<string> {
    const [begun, id] = await this.#redis.hmget(this.#keys.completed, 'begun', 'id');
    return begun === epoch ? (id ?? '') : '';
  }

  /** Notes up to which id (in PostgreSQL's order) the index of an epoch was completed. */
  async noteCompletedUpTo(epoch: string, id: string): Promise<void> {
    await this.#redis.hset(this.#keys.completed, { begun: epoch, id });
  }

  /** Notes that the index of an epoch has everybody whom PostgreSQL remembers. */
  async markComplete(epoch: string): Promise<void> {
    await this.#redis.hset(this.#keys.completed, { epoch });
    // Nobody's id stays behind.
    await this.#redis.hdel(this.#keys.completed, 'begun', 'id');
  }
}
