import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, NO_TRACING, type Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { followUpOf, runScript } from './scripts.ts';
import { timeOf } from './time.ts';

export type IndicatorKind = 'typing' | 'recording_audio';

export interface Indicator {
  conversationId: string;
  userId: string;
  kind: IndicatorKind;
  conn: string;
}

/** It ends by itself after this, unless repeated. */
const LASTS_MS = 6000;

/**
 * Keeps who is typing or recording in which conversation; it is kept nowhere else. Callers owe the follow-ups to the
 * queues. Errors are those of ioredis where Redis is away.
 */
export class Indicators {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;
  readonly #tracing: Tracing;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, tracing = NO_TRACING) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
    this.#tracing = tracing;
  }

  /** Begins an indicator, or prolongs it; it ends by itself unless it is repeated. */
  async start(indicator: Indicator): Promise<FollowUp> {
    return this.#indicate('start', indicator);
  }

  /** Ends an indicator; nothing happens where it is over. */
  async stop(indicator: Indicator): Promise<FollowUp> {
    return this.#indicate('stop', indicator);
  }

  /** Ends all that somebody does in a conversation of which they are no member any more; the webs let their sockets go. */
  async expel(conversationId: string, userId: string): Promise<FollowUp> {
    return this.#indicate('expel', { conversationId, userId, kind: 'typing', conn: '' });
  }

  /** Ends indicators of one shard that were not repeated in time, at most `limit` of them. */
  async expire(shard: number, limit: number): Promise<FollowUp[]> {
    const now = await timeOf(this.#redis, this.#keys.indicators(shard));
    const key = this.#keys.indicators(shard);
    const [ended, ahead] = await Promise.all([
      this.#redis.zrangebyscore(key, '-inf', now, 'LIMIT', 0, limit),
      // Of a clock that was set back since.
      this.#redis.zrangebyscore(key, `(${now + LASTS_MS}`, '+inf', 'LIMIT', 0, limit),
    ]);
    const overdue = [...ended, ...ahead];
    return Promise.all(
      overdue.map((member) => {
        const [conversationId, field] = JSON.parse(member) as [string, string];
        const [userId, kind, conn] = JSON.parse(field) as [string, IndicatorKind, string];
        return this.#indicate('expire', { conversationId, userId, kind, conn });
      }),
    );
  }

  /** Those who are doing something in a conversation now, and what; each once. */
  async inConversation(conversationId: string): Promise<{ userId: string; kind: IndicatorKind }[]> {
    const all = await this.#redis.hgetall(this.#keys.doing(conversationId));
    const now = this.#clock.now(shardOf(conversationId));
    const found = new Map<string, { userId: string; kind: IndicatorKind }>();
    for (const [field, ends] of Object.entries(all)) {
      const [userId, kind] = JSON.parse(field) as [string, IndicatorKind, string];
      if (Number(ends) > now) found.set(JSON.stringify([userId, kind]), { userId, kind });
    }
    return [...found.values()];
  }

  async #indicate(action: string, { conversationId, userId, kind, conn }: Indicator): Promise<FollowUp> {
    const shard = shardOf(conversationId);
    const keys = this.#keys;
    const trace = this.#tracing.current();
    const [wake] = await runScript(
      this.#redis,
      'indicate',
      [
        keys.indicators(shard),
        keys.outbox(shard),
        keys.doing(conversationId),
        keys.wake('deliver', shard),
        keys.wake('record', shard),
      ],
      [action, LASTS_MS, conversationId, userId, kind, conn, isTraced(trace) ? trace : ''],
    );
    return followUpOf(shard, wake, trace);
  }
}
