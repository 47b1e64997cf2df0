import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { timeOf } from './time.ts';

/** Moments in ms of Redis's clock; 0: never, or at no known time. */
export interface LossState {
  now: number;
  /** Name of what this store holds now; another one means that everything was lost. */
  epoch: string;
  /** When the epoch began. */
  since: number;
  /** The epoch whose losses were settled last ('' none), and when. */
  settled: string;
  settledAt: number;
  /** When Redis was last back after it had been out of reach. */
  returnedAt: number;
}

/** What is known of Redis having lost what it held, and of that having been made good. Errors are those of ioredis. */
export class Losses {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** When Redis began anew, when it came back, and up to when what it lost has been settled. */
  async state(): Promise<LossState> {
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

  /**
   * Notes that Redis was out of reach and is back, perhaps with less than it had though its epoch is the same. Returns
   * its time (ms).
   */
  async noteReturn(): Promise<{ now: number }> {
    const now = await timeOf(this.#redis, this.#keys.settled);
    await this.#redis.hset(this.#keys.settled, { returned: now });
    return { now };
  }

  /** Notes that the losses of an epoch were settled at a moment (ms of Redis's clock). */
  async markSettled(epoch: string, at: number): Promise<void> {
    await this.#redis.hset(this.#keys.settled, { epoch, at });
  }
}
