import { Redis } from 'ioredis';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { Queues } from '../../src/queues/queues.ts';
import { DelayedJobs } from '../../src/redis/delayed-jobs.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { privateRedis } from '../support/stores.ts';

/** The queues in a Redis of the test's own, with nobody at work on them. */
export class OwnQueues {
  readonly redis: Redis;
  readonly queues: Queues;
  readonly keys = createKeys('', false);
  readonly #server: EmbeddedRedis;

  static async open(): Promise<OwnQueues> {
    return new OwnQueues(await privateRedis({ appendonly: false }));
  }

  private constructor(server: EmbeddedRedis) {
    this.#server = server;
    this.redis = new Redis(server.url, { maxRetriesPerRequest: null });
    this.queues = new Queues(this.redis, this.keys, new DelayedJobs(this.redis), (error) => {
      throw error;
    });
  }

  async close(): Promise<void> {
    await this.queues.close();
    this.redis.disconnect();
    await this.#server.stop();
  }
}
