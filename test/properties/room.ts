import { Redis } from 'ioredis';
import { RedisClock } from '../../src/redis/clock.ts';
import { DeadlineIndex } from '../../src/redis/deadline-index.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { Leftovers } from '../../src/redis/leftovers.ts';
import { Losses } from '../../src/redis/losses.ts';
import { Outbox } from '../../src/redis/outbox.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { openTestStores } from '../support/stores.ts';

export const TTL_MS = 60_000;

/** The scripts on a real Redis and in real time, in a room of the test's own. */
export async function openRoom(name: string) {
  const stores = await openTestStores(name);
  const redis = new Redis(stores.redisUrl);
  const keys = createKeys(stores.redisPrefix, false);
  const clock = new RedisClock();
  const store = new PresenceStore(redis, keys, clock, TTL_MS);
  let serial = 0;
  return {
    redis,
    keys,
    clock,
    store,
    outbox: new Outbox(redis, keys),
    deadlines: new DeadlineIndex(redis, keys),
    leftovers: new Leftovers(redis, keys),
    losses: new Losses(redis, keys),
    /** Somebody nobody has heard of connects. */
    async comes(userId: string) {
      const conn = `web.${serial++}`;
      const session = { userId, sessionId: `c${conn}`, conn };
      const device = { kind: 'web' as const, name: '', state: 'active' as const };
      const ages = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 20, mode: 'connect' as const };
      const opened = await store.open({ ...session, ...device, ...ages, claims: null }, 'new');
      return { session, followUp: opened.followUp };
    },
    async close() {
      redis.disconnect();
      await stores.close();
    },
  };
}

export type Room = Awaited<ReturnType<typeof openRoom>>;
