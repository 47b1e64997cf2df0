import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { dropOld, preparePartitions } from '../../workers/retention.ts';
import { completeSeen, pruneSeen } from '../../workers/seen-index.ts';
import { noteMinute } from '../../workers/timeline.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const DAY = 24 * 3_600_000;

let testStores: TestStores;
let stores: Stores;
let now = 0;

beforeAll(async () => {
  testStores = await openTestStores('keeping');
});
beforeEach(async () => {
  const config = readConfig({
    REDIS_URL: testStores.redisUrl,
    ...testStores.redisSentinels,
    REDIS_CLUSTER: `${testStores.redisCluster}`,
    REDIS_PREFIX: `${testStores.redisPrefix}${randomUUID()}:`,
    DATABASE_URL: testStores.databaseUrl,
    JWT_SECRET: 'a secret that nobody signs anything with',
  });
  stores = openStores(config, pino({ level: 'silent' }));
  await once(stores.redis, 'ready');
  await stores.pulse.beat();
  now = (await stores.seen.state()).now;
  for (const table of ['status_transitions', 'users', 'presence_minutes']) await stores.db(table).delete();
  return () => stores.close();
});
afterAll(() => testStores.close());

/** As though this store had been there for so long. */
const aged = (ms: number) =>
  Promise.all(stores.keys.pulseShards.map((shard) => stores.redis.set(stores.keys.epoch(shard), `${now - ms} test`)));

test('a store that came up empty hears of everybody of the last 30 days, once the webs had time to tell of theirs', async () => {
  const { db, seen } = stores;
  await db('users').insert([
    { id: 'ann', last_seen: new Date(now - DAY) },
    { id: 'bob', last_seen: new Date(now - 31 * DAY) },
    { id: 'cid', last_seen: null },
    { id: 'dan', last_seen: new Date(now - 29 * DAY) },
    { id: 'eve', last_seen: new Date(now - DAY) },
  ]);
  expect(await completeSeen(stores)).toMatchObject({ added: 0, nextInMs: expect.any(Number) });
  expect(await noteMinute(stores)).toMatchObject({ waiting: expect.any(String) });
  await aged(10_000);
  // Heard of here already, later than PostgreSQL remembers.
  await seen.add([{ userId: 'eve', lastSeen: now }]);
  expect(await completeSeen(stores)).toEqual({ added: 3, complete: true });
  expect((await seen.page(0, null, 10)).users).toEqual([
    { userId: 'eve', lastSeen: now },
    { userId: 'ann', lastSeen: now - DAY },
    { userId: 'dan', lastSeen: now - 29 * DAY },
  ]);
  expect(await completeSeen(stores)).toEqual({ added: 0 });
});

test('what was begun goes on where it stopped, but only for the same store', async () => {
  const { db, seen } = stores;
  await db('users').insert(['ann', 'bob', 'cid'].map((id) => ({ id, last_seen: new Date(now) })));
  await aged(10_000);
  await seen.noteCompletedUpTo((await seen.state()).epoch, 'bob');
  expect(await completeSeen(stores)).toEqual({ added: 1, complete: true });
  await aged(20_000);
  expect(await completeSeen(stores)).toEqual({ added: 3, complete: true });
});

test('a minute is noted by whoever comes first in it', async () => {
  await aged(10_000);
  await completeSeen(stores);
  await stores.redis.zadd(stores.keys.due(3), now + DAY, 'somebody');
  expect(await noteMinute(stores)).toEqual({ active: 1 });
  await stores.redis.zadd(stores.keys.due(3), now + DAY, 'another');
  expect(await noteMinute(stores)).toEqual({ active: 2 });
  const rows = await stores.db('presence_minutes').orderBy('minute');
  expect(rows[0]).toMatchObject({ active: 1, transitions: 0 });
});

test('nobody is dropped from the index about whom somebody may still ask', async () => {
  await stores.seen.add([
    { userId: 'ann', lastSeen: now - 30 * DAY },
    { userId: 'bob', lastSeen: now - 30 * DAY - 2 * 3_600_000 },
  ]);
  expect(await pruneSeen(stores)).toEqual({ dropped: 1 });
  expect((await stores.seen.page(0, null, 10)).users.map((each) => each.userId)).toEqual(['ann']);
});

test('old history goes in portions, and the timeline after it; so do webhooks that are no more in the settings', async () => {
  const { db } = stores;
  await db('users').insert({ id: 'ann' });
  await db.raw(`
    INSERT INTO status_transitions (user_id, version, at, status, cause)
    SELECT 'ann', n, now() - interval '91 days' + n * interval '1 second', 'inactive', 'timeout'
      FROM generate_series(1, 5600) AS n
    UNION ALL SELECT 'ann', 9000, now(), 'inactive', 'timeout'`);
  await db.raw(
    `INSERT INTO presence_minutes (minute) VALUES (now() - interval '401 days'), (now() - interval '399 days')`,
  );
  const partitions = { dropped: [] };
  await db.raw(`
    INSERT INTO webhooks (receiver, feed, position, taken_at)
    SELECT name, 'f', 1, now() - days * interval '1 day' FROM (VALUES ('kept', 8), ('away', 6), ('gone', 8)) AS had (name, days)`);
  await stores.db('rooms_told').insert([
    { room_id: 'doc:1', occupied: false, version: 1 },
    { room_id: 'doc:2', occupied: true, version: 1 },
  ]);
  const kept = { name: 'kept', url: 'http://localhost', secrets: [], types: [], users: null, rooms: null };
  const quarter = { historyRetentionDays: 90, webhooks: [kept] };
  expect(await dropOld(stores, quarter)).toEqual({
    partitions,
    transitions: 5600,
    rooms: 1,
    minutes: 1,
    changes: 0,
    acts: 0,
    receivers: 1,
  });
  expect(await db('status_transitions').pluck('version')).toEqual(['9000']);
  expect(await db('webhooks').pluck('receiver').orderBy('receiver')).toEqual(['away', 'kept']);
  const ever = { ...quarter, historyRetentionDays: 36_500 };
  expect(await dropOld(stores, ever)).toEqual({
    partitions,
    transitions: 0,
    rooms: 0,
    minutes: 0,
    changes: 0,
    acts: 0,
    receivers: 0,
  });
});

test('the history of the days to come has its place before they begin', async () => {
  const { db } = stores;
  const retention = { historyRetentionDays: 14 };
  const { made } = (await preparePartitions(stores, retention)) as { made: string[] };
  expect(made.length).toBeGreaterThanOrEqual(1);
  expect(await preparePartitions(stores, retention)).toEqual({ made: [] });
  await db('users').insert({ id: 'ann' });
  for (const days of [0, 1, 2, 3]) {
    const at = new Date(now + days * DAY);
    await db('status_transitions').insert({ user_id: 'ann', version: days, at, status: 'active', cause: 'connect' });
  }
  expect(await db('status_transitions_default')).toEqual([]);
});
