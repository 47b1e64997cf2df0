import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { type Reply, runScript } from './scripts.ts';

const SWEEP_LEASE_MS = 700;

/** What a sweep found in a shard. */
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

/**
 * What is left lying where a job was lost or a store was away, for the one worker that sweeps a slot group. Errors are
 * those of ioredis where Redis is away.
 */
export class Leftovers {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Whether this process, by its `token`, is the one that sweeps the shards of a slot group; ask before every sweep. */
  async holdLease(group: number, token: string): Promise<boolean> {
    const reply = await runScript(this.#redis, 'lease', [this.#keys.sweepLease(group)], [token, SWEEP_LEASE_MS]);
    return reply[0] === 1;
  }

  /** Lets another process sweep the slot group at once; nothing happens where the lease is not that of `token`. */
  async giveLeaseBack(group: number, token: string): Promise<void> {
    await runScript(this.#redis, 'lease', [this.#keys.sweepLease(group)], [token, 0]);
  }

  /** Finds what was left lying in shards of one node, at most `limit` overdue users of each; in the order of `shards`. */
  async find(shards: readonly number[], limit: number): Promise<SweptShard[]> {
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

  /** Some users of a shard, `count` at most, who came while PostgreSQL could not say whether they appear inactive. */
  async choiceUnknown(shard: number, count: number): Promise<string[]> {
    return this.#redis.srandmember(this.#keys.choiceUnknown(shard), count);
  }
}
