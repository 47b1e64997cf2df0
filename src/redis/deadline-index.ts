import type { RedisClient } from './connect.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { timeOf } from './time.ts';

/** Users read at once, of all shards together. */
const PAGE = 800;

/** Everybody whose deadline is known, by deadline. Errors are those of ioredis where Redis is away. */
export class DeadlineIndex {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Users of a shard who have a deadline, a page of about `count` at a time; `cursor` '0' begins and, returned, ends. Who
   * has one all the while is among them, perhaps twice.
   */
  async page(shard: number, cursor: string, count: number): Promise<{ cursor: string; userIds: string[] }> {
    const [next, flat] = await this.#redis.zscan(this.#keys.due(shard), cursor, 'COUNT', count);
    return { cursor: next, userIds: flat.filter((_, n) => n % 2 === 0) };
  }

  /**
   * Users of a shard whose deadline lies more than `ms` ahead by the clock of their node, a page at a time; `cursor` '0' begins
   * and, returned, ends. A page may be empty and not the last.
   */
  async pageDueAfter(
    shard: number,
    ms: number,
    cursor: string,
    count: number,
  ): Promise<{ cursor: string; userIds: string[] }> {
    const key = this.#keys.due(shard);
    const [now, [next, flat]] = await Promise.all([
      timeOf(this.#redis, key),
      this.#redis.zscan(key, cursor, 'COUNT', count),
    ]);
    const userIds = flat.filter((_, n) => n % 2 === 0 && Number(flat[n + 1]) > now + ms);
    return { cursor: next, userIds };
  }

  /**
   * Users of a shard who are noted apart: who is due by something else than the configured TTL. A page at a time, as with `page`.
   */
  async pageApart(shard: number, cursor: string, count: number): Promise<{ cursor: string; userIds: string[] }> {
    const [next, flat] = await this.#redis.zscan(this.#keys.apartDue(shard), cursor, 'COUNT', count);
    return { cursor: next, userIds: flat.filter((_, n) => n % 2 === 0) };
  }

  /**
   * All users who have a deadline, some hundred at a time, those of a random shard first: where not all of them are wanted
   * none is left out every time. Who has one all the while is among them, perhaps twice.
   */
  async *everybody(): AsyncGenerator<string[]> {
    const first = Math.floor(Math.random() * SHARDS);
    let left = Array.from({ length: SHARDS }, (_, n) => ({ shard: (first + n) % SHARDS, cursor: '0' }));
    while (left.length > 0) {
      const count = Math.ceil(PAGE / left.length);
      const pages = await Promise.all(left.map(({ shard, cursor }) => this.page(shard, cursor, count)));
      yield pages.flatMap((page) => page.userIds);
      left = left
        .map(({ shard }, n) => ({ shard, cursor: pages[n]?.cursor ?? '0' }))
        .filter(({ cursor }) => cursor !== '0');
    }
  }

  /** How many users have a deadline ahead of them: whoever has a session, those who appear inactive included. */
  async count(): Promise<number> {
    const now = await timeOf(this.#redis, this.#keys.due(0));
    const counts = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => this.#redis.zcount(this.#keys.due(shard), now, '+inf')),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Users whose deadline passed more than `ms` ago and who are not settled yet, at most `limit`, the longest overdue first; by how
   * much (ms), and how many there are.
   */
  async overdue(ms: number, limit: number): Promise<{ count: number; users: { userId: string; lateMs: number }[] }> {
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, async (_, shard) => {
        const key = this.#keys.due(shard);
        const now = await timeOf(this.#redis, key);
        const [count, first] = await Promise.all([
          this.#redis.zcount(key, '-inf', now - ms),
          this.#redis.zrange(key, '-inf', `${now - ms}`, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES'),
        ]);
        const users = first.flatMap((userId, n) =>
          n % 2 === 0 ? { userId, lateMs: Math.round(now - Number(first[n + 1])) } : [],
        );
        return { count, users };
      }),
    );
    return {
      count: shards.reduce((sum, { count }) => sum + count, 0),
      users: shards
        .flatMap(({ users }) => users)
        .sort((a, b) => b.lateMs - a.lateMs)
        .slice(0, limit),
    };
  }

  /** Whether the user has a session, or had one a moment ago whose end is still to be settled. */
  async has(userId: string): Promise<boolean> {
    return (await this.#redis.zscore(this.#keys.due(shardOf(userId)), userId)) !== null;
  }
}
