import type { RedisClient } from './connect.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { type Reply, runScript } from './scripts.ts';
import { timeOf } from './time.ts';

const SWEEP_LEASE_MS = 700;
/** Users read at once, of all shards together. */
const PAGE = 800;

export interface SweptShard {
  shard: number;
  wakeDeliver: boolean;
  wakeRecord: boolean;
  unrecorded: boolean;
  choiceUnknown: boolean;
  /** Whether somebody is shown as typing or the like, which ends by itself. */
  indicators: boolean;
  /** How long until somebody is overdue, as things stand; null: nobody will be, or expiry is held. */
  nextInMs: number | null;
  overdue: string[];
}

/** Everybody whose deadline is known, by deadline. */
export class ActiveIndex {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** True while this process is the one that sweeps the shards of a slot group; ask before every sweep. */
  async holdSweepLease(group: number, token: string): Promise<boolean> {
    const reply = await runScript(this.#redis, 'lease', [this.#keys.sweepLease(group)], [token, SWEEP_LEASE_MS]);
    return reply[0] === 1;
  }

  async giveSweepLeaseBack(group: number, token: string): Promise<void> {
    await runScript(this.#redis, 'lease', [this.#keys.sweepLease(group)], [token, 0]);
  }

  /** What was left lying in shards of one node; at most `limit` overdue users of each. */
  async sweep(shards: readonly number[], limit: number): Promise<SweptShard[]> {
    const keys = this.#keys;
    const [first = 0] = shards;
    const names = shards.flatMap((shard) => [
      keys.due(shard),
      keys.outbox(shard),
      keys.unrecorded(shard),
      keys.choiceUnknown(shard),
      keys.wake('deliver', shard),
      keys.wake('record', shard),
      keys.indicators(shard),
    ]);
    const reply = await runScript(this.#redis, 'sweep', [keys.pulse(first), keys.hold(first), ...names], [limit]);
    return shards.map((shard, n) => {
      const [wake, unrecorded, choiceUnknown, indicators, nextInMs, ...overdue] = reply[n] as Reply[];
      return {
        shard,
        wakeDeliver: (Number(wake) & 1) !== 0,
        wakeRecord: (Number(wake) & 2) !== 0,
        unrecorded: unrecorded === 1,
        choiceUnknown: choiceUnknown === 1,
        indicators: indicators === 1,
        nextInMs: Number(nextInMs) < 0 ? null : Number(nextInMs),
        overdue: overdue.map(String),
      };
    });
  }

  /** Users of a shard who have a deadline, a page at a time; `cursor` '0' begins and, returned, ends. */
  async page(shard: number, cursor: string, count: number): Promise<{ cursor: string; userIds: string[] }> {
    const [next, flat] = await this.#redis.zscan(this.#keys.due(shard), cursor, 'COUNT', count);
    return { cursor: next, userIds: flat.filter((_, n) => n % 2 === 0) };
  }

  /** The same of those alone who are to be looked at later than so long (ms) from now, by the clock of their node. */
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

  /** Whether Redis has a record of the user, that of somebody who left a while ago included. */
  async knows(userId: string): Promise<boolean> {
    return (await this.#redis.exists(this.#keys.record(userId))) === 1;
  }

  /** Whether the user has a session, or had one a moment ago whose end is still to be settled. */
  async has(userId: string): Promise<boolean> {
    return (await this.#redis.zscore(this.#keys.due(shardOf(userId)), userId)) !== null;
  }

  async choiceUnknown(shard: number, count: number): Promise<string[]> {
    return this.#redis.srandmember(this.#keys.choiceUnknown(shard), count);
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

  /** Which of these users Redis has no record of. */
  async withoutRecord(userIds: string[]): Promise<string[]> {
    const found = await Promise.all(userIds.map((userId) => this.#redis.exists(this.#keys.record(userId))));
    return userIds.filter((_, n) => found[n] === 0);
  }

  /** Redis's time, this store's epoch and since when it runs, the last settling of losses and the last return (ms). */
  async epoch(): Promise<{
    now: number;
    epoch: string;
    since: number;
    settled: string;
    settledAt: number;
    returnedAt: number;
  }> {
    const [now, settled, ...epochs] = await Promise.all([
      timeOf(this.#redis, this.#keys.settled),
      this.#redis.hgetall(this.#keys.settled),
      ...this.#keys.pulseShards.map((shard) => this.#redis.get(this.#keys.epoch(shard))),
    ]);
    // What lies ahead is of a clock that was set back since, at no known time.
    const past = (moment: number) => (moment > now ? 0 : moment);
    const returnedAt = past(Number(settled.returned ?? 0));
    const since = Math.max(...epochs.map((epoch) => Number.parseInt(epoch ?? '0', 10)));
    return {
      now,
      epoch: epochs.join(','),
      since: past(since) || returnedAt,
      settled: settled.epoch ?? '',
      settledAt: past(Number(settled.at ?? 0)),
      returnedAt,
    };
  }

  /** Redis was out of reach and is back, perhaps with less than it had, though its epoch is the same. */
  async noteReturn(): Promise<{ now: number }> {
    const now = await timeOf(this.#redis, this.#keys.settled);
    await this.#redis.hset(this.#keys.settled, { returned: now });
    return { now };
  }

  async markSettled(epoch: string, at: number): Promise<void> {
    await this.#redis.hset(this.#keys.settled, { epoch, at });
  }
}
