import { createHash } from 'node:crypto';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { runScript } from './scripts.ts';

export interface Reservation {
  /** Reserved in this window by all processes, this call included. */
  total: number;
  leftMs: number;
}

/** Counts what the web processes have let through together. Throws where Redis is away. */
export class SharedLimits {
  readonly #redis: RedisClient;
  readonly #keys: Pick<Keys, 'limit'>;

  constructor(redis: RedisClient, keys: Pick<Keys, 'limit'>) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Adds `amount` to what all processes have let through of a limit for `whom` in the window of `windowMs` that runs
   * now. Returns the total with it, and for how long (ms) the window still runs.
   */
  async reserve(limit: string, whom: string, amount: number, windowMs: number): Promise<Reservation> {
    // By a hash: addresses and ids come in any length, and neither has to lie about in Redis.
    const digest = createHash('sha256').update(whom).digest('base64url').slice(0, 22);
    const reply = await runScript(this.#redis, 'reserve', [this.#keys.limit(limit, digest)], [amount, windowMs]);
    return { total: Number(reply[0]), leftMs: Number(reply[1]) };
  }
}
