import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { createKeys, type Keys, shardOf } from '../../src/redis/keys.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { SeenIndex } from '../../src/redis/seen-index.ts';
import { manual } from '../support/said.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';
import { ModelTime } from './model-time.ts';

const START = Date.UTC(2030, 0, 1);
const TTL_MS = 60_000;

let stores: TestStores;
let time: ModelTime;
let keys: Keys;
let store: PresenceStore;
let index: SeenIndex;

beforeAll(async () => {
  stores = await openTestStores('seen scripts');
  time = new ModelTime(stores.redisUrl, stores.redisPrefix);
  keys = createKeys(stores.redisPrefix, false);
  store = new PresenceStore(time.redis, keys, new RedisClock(), TTL_MS);
  index = new SeenIndex(time.redis, keys);
  await time.start(START);
});
afterAll(async () => {
  time.redis.disconnect();
  await stores.close();
});

async function comes(userId: string, sessionId: string) {
  const session = { userId, sessionId, conn: `web.${sessionId}` };
  const device = { kind: 'web' as const, name: '', state: 'active' as const };
  const ages = { beatAgeMs: 0, connectedAgeMs: 0, maxSessions: 20, mode: 'connect' as const };
  await store.open({ ...session, ...device, ...ages, claims: null }, 'new');
  return session;
}

const activeAt = async (moment: number) => (await index.count(moment, [])).active;

test('a detail that ends before a later heartbeat does is counted once before, and once after its end', async () => {
  const begun = time.now;
  const session = await comes('ann', 'd1');
  await time.pass(10);
  // Ends after the deadline: as long as nothing is heard, the deadline is what comes first.
  await store.setDetail('ann', manual({ text: 'lunch' }, TTL_MS), null);
  expect(await activeAt(begun + TTL_MS - 1)).toBe(1);
  expect(await activeAt(begun + TTL_MS)).toBe(0);
  await time.pass(20);
  await store.touch([{ ...session, ageMs: 0, state: null }]);
  for (const [ms, active] of [
    [0, 1],
    [TTL_MS + 9, 1],
    [TTL_MS + 10, 1],
    [TTL_MS + 29, 1],
    [TTL_MS + 30, 0],
  ] as const) {
    expect(await activeAt(begun + ms), `${ms}`).toBe(active);
  }
  await store.logOut('ann', null);
});

test('of several heartbeats in one call the latest is when the user was seen', async () => {
  const one = await comes('bob', 'd1');
  const two = await comes('bob', 'd2');
  await time.pass(5000);
  const shard = shardOf('bob');
  const seen = async () => Number(await time.redis.zscore(keys.seen(shard), 'bob'));
  // The first is taken the quick way, the second says something new.
  await store.touch([
    { ...one, ageMs: 500, state: null },
    { ...two, ageMs: 0, state: 'idle' },
  ]);
  expect(await seen()).toBe(time.now);
  await time.pass(5000);
  await store.touch([
    { ...two, ageMs: 0, state: 'active' },
    { ...one, ageMs: 500, state: null },
  ]);
  expect(await seen()).toBe(time.now);
  await time.pass(5000);
  await store.touch([
    { ...two, ageMs: 100, state: null },
    { ...one, ageMs: 500, state: null },
  ]);
  expect(await seen()).toBe(time.now - 100);
  expect(await time.redis.get(keys.lastSeen('bob'))).toBe(new Date(time.now - 100).toISOString());
});
