import type { FollowUp } from '../presence/follow-up.ts';
import { NO_TRACING } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { PresenceScripts } from './presence-scripts.ts';

/** A lease by the session that it is. */
export interface LeaseRef {
  userId: string;
  sessionId: string;
}

/** Renews leases: sessions that no connection holds. They are opened and closed as sessions are, by `PresenceStore`. */
export class LeaseStore {
  readonly #keys: Keys;
  readonly #scripts: PresenceScripts;

  /** `ttlMs`: how long a session lives that has no TTL of its own. */
  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, ttlMs: number, tracing = NO_TRACING) {
    this.#keys = keys;
    this.#scripts = new PresenceScripts(redis, keys, clock, ttlMs, tracing);
  }

  /**
   * Renews leases, all of a node in one call of a script. Returns for each, in their order, whether it is there, and what is owed to the
   * queues. Rejects with ioredis's errors where Redis is away, and with RedisRefused.
   */
  async renew(leases: readonly LeaseRef[]): Promise<{ renewed: boolean[]; followUps: FollowUp[] }> {
    const renewed: boolean[] = [];
    const trace = this.#scripts.trace();
    const placed = leases.map(({ userId, sessionId }, n) => ({ n, shard: shardOf(userId), args: [userId, sessionId] }));
    const byGroup = Map.groupBy(placed, ({ shard }) => this.#keys.slotGroupOf(shard));
    const followUps = await Promise.all(
      [...byGroup.values()].map(async (some) => {
        const answer = await this.#scripts.runMany('renew-leases', some, trace);
        for (const [place, { n }] of some.entries()) renewed[n] = answer.replies[place]?.[0] === 1;
        return answer.followUps;
      }),
    );
    return { renewed, followUps: followUps.flat() };
  }
}
