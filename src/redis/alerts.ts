import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, NO_TRACING, type Tracing } from '../telemetry/tracing.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { followUpOf, runScript } from './scripts.ts';

/** Tells connected devices of friends who became active. Errors are those of ioredis where Redis is away. */
export class Alerts {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #ttlMs: number;
  readonly #tracing: Tracing;

  constructor(redis: RedisClient, keys: Keys, ttlMs: number, tracing = NO_TRACING) {
    this.#redis = redis;
    this.#keys = keys;
    this.#ttlMs = ttlMs;
    this.#tracing = tracing;
  }

  /** Whether a device of the user is connected. */
  async isConnected(userId: string): Promise<boolean> {
    return (await this.#run(userId, '', 0, false)).connected;
  }

  /**
   * Tells all connected devices of `askerId` that a friend became active at `at` (ms); `told` is false where there is
   * none and nothing was done. The caller owes the follow-up to the queues.
   */
  async tell(askerId: string, friend: { userId: string; at: number }): Promise<{ told: boolean; followUp: FollowUp }> {
    const { connected, followUp } = await this.#run(askerId, friend.userId, friend.at, true);
    return { told: connected, followUp };
  }

  async #run(askerId: string, friendId: string, at: number, tell: boolean) {
    const keys = this.#keys;
    const shard = shardOf(askerId);
    const trace = this.#tracing.current();
    const [wake, connected] = await runScript(
      this.#redis,
      'tell-alert',
      [keys.record(askerId), keys.outbox(shard), keys.wake('deliver', shard), keys.wake('record', shard)],
      [askerId, friendId, at, this.#ttlMs, tell ? 1 : 0, isTraced(trace) ? trace : ''],
    );
    return { connected: connected === 1, followUp: followUpOf(shard, wake, trace) };
  }
}
