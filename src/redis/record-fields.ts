import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { type KnownSource, sourcesIn } from './record.ts';

/** What Redis keeps of users, one field of many users at a time. Errors are those of ioredis where Redis is away. */
export class RecordFields {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Whether the user is shown as inactive by choice, or may be for all that is known. */
  async isHidden(userId: string): Promise<boolean> {
    const [until, choiceUnknown] = await this.#redis.hmget(this.#keys.record(userId), 'h', 'p');
    return until !== null || choiceUnknown !== null;
  }

  /** The cached last seen (ISO) of users, null where there is none. */
  async lastSeen(userIds: string[]): Promise<(string | null)[]> {
    const byGroup = Map.groupBy(userIds, (userId) => this.#keys.slotGroupOf(shardOf(userId)));
    const found = await Promise.all(
      [...byGroup.values()].map(async (ids) => {
        const values = await this.#redis.mget(ids.map((userId) => this.#keys.lastSeen(userId)));
        return ids.map((userId, n) => [userId, values[n] ?? null] as const);
      }),
    );
    const lastSeen = new Map(found.flat());
    return userIds.map((userId) => lastSeen.get(userId) ?? null);
  }

  /** The number of each user's waiting timeout job, null where none is noted. */
  async jobNumbers(userIds: string[]): Promise<(string | null)[]> {
    return Promise.all(userIds.map((userId) => this.#redis.hget(this.#keys.record(userId), 'j')));
  }

  /** The version in each user's record, null where there is none. */
  async versions(userIds: string[]): Promise<(number | null)[]> {
    const found = await Promise.all(userIds.map((userId) => this.#redis.hget(this.#keys.record(userId), 'v')));
    return found.map((version) => (version === null ? null : Number(version)));
  }

  /** The sources in each user's record that are not over, the strongest first, and their revision; null where there is no record. */
  async sources(userIds: string[]): Promise<({ revision: number; sources: KnownSource[] } | null)[]> {
    const found = await Promise.all(
      userIds.map((userId) => this.#redis.hmget(this.#keys.record(userId), 'v', 'ur', 'u', 'd', 'x')),
    );
    return found.map(([version, revision, all, shown, ends]) => {
      if (version === null || version === undefined) return null;
      const sources = sourcesIn(all, shown, ends).filter(({ until }) => until === null || until > Date.now());
      return { revision: Number(revision ?? 0), sources };
    });
  }

  /** Which of these users Redis has no record of. */
  async withoutRecord(userIds: string[]): Promise<string[]> {
    const found = await Promise.all(userIds.map((userId) => this.#redis.exists(this.#keys.record(userId))));
    return userIds.filter((_, n) => found[n] === 0);
  }
}
