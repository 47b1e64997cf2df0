import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { connectRedis, type RedisClient } from '../../src/redis/connect.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import { timeOf } from '../../src/redis/time.ts';
import { eventually } from '../support/eventually.ts';
import { RedisCluster } from '../support/redis-cluster.ts';

const PASSWORD = 'open-sesame';
const keys = createKeys('cluster-test:', true);
let cluster: RedisCluster;
let redis: RedisClient;
let store: PresenceStore;

beforeAll(async () => {
  cluster = await RedisCluster.start({ password: PASSWORD });
  redis = connectRedis({ urls: urls(), cluster: true, tlsRejectUnauthorized: true }, 'prompt');
  redis.on('error', () => {});
  store = new PresenceStore(redis, keys, new RedisClock(keys.slotGroups.length), 60_000);
  await once(redis, 'ready');
}, 60_000);

afterAll(async () => {
  redis.disconnect();
  await cluster.stop();
});

/** Only the first: it names the others, which want the same password. */
function urls(): string[] {
  return [`redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${cluster.node(0).server.port}`];
}

const open = (userId: string) =>
  store.open(
    {
      userId,
      sessionId: `session-of-${userId}`,
      conn: `conn-of-${userId}`,
      kind: 'web',
      name: '',
      state: 'active',
      beatAgeMs: 0,
      connectedAgeMs: 0,
      maxSessions: 20,
      mode: 'connect',
      claims: null,
    },
    'new',
  );

test('A user, their deadline and their changes share a slot; users of all shards are spread over all masters', async () => {
  const users = Array.from({ length: 64 }, (_, n) => `user-${n}`);
  const opened = await Promise.all(users.map(open));
  expect(opened.map(({ code }) => code)).toEqual(users.map(() => 'ok'));
  for (const { client } of cluster.nodes) {
    expect((await client.keys('cluster-test:user:status:*')).length, 'users of a master').toBeGreaterThan(0);
  }
  for (const userId of users) {
    expect(keys.status(userId)).toBe(`cluster-test:user:status:{s${shardOf(userId)}}:${userId}`);
    expect(await redis.zscore(keys.due(shardOf(userId)), userId)).not.toBeNull();
  }
});

test('A burst of first commands, before any connection to a node stands, is answered', async () => {
  const fresh = connectRedis({ urls: urls(), cluster: true, tlsRejectUnauthorized: true }, 'prompt');
  await once(fresh, 'ready');
  const users = Array.from({ length: 200 }, (_, n) => `user-${n % 64}`);
  const answers = await Promise.all(users.map((userId) => fresh.get(keys.status(userId))));
  expect(new Set(answers)).toEqual(new Set(['active']));
  fresh.disconnect();
});

test('A prompt client of a cluster that is out of reach refuses at once', async () => {
  const away = connectRedis({ urls: ['redis://127.0.0.1:1'], cluster: true, tlsRejectUnauthorized: true }, 'prompt');
  away.on('error', () => {});
  const begun = performance.now();
  await expect(away.get('anything')).rejects.toThrow();
  expect(performance.now() - begun).toBeLessThan(1000);
  away.disconnect();
});

test('The time of a key is that of its node', async () => {
  for (let shard = 0; shard < 16; shard++) {
    expect(Math.abs((await timeOf(redis, keys.due(shard))) - Date.now())).toBeLessThan(5000);
  }
});

test('While a slot is half moved no script sees half of a shard, and all of it is there afterwards', async () => {
  const shard = shardOf('user-1');
  const slot = Number(await redis.cluster('KEYSLOT', keys.due(shard)));
  const from = await cluster.masterOf(slot);
  const to = cluster.nodes.find((node) => node !== from) ?? from;
  const before = await store.snapshot(shard, ['user-1']);
  // All that a script is told of is there, so that only the key which never is keeps it from running.
  const { pulse, hold, wake, unrecorded, choiceUnknown, apartDue, apartActive, erased } = keys;
  await redis.set(pulse(shard), Date.now());
  for (const key of [hold(shard), wake('deliver', shard), wake('record', shard)]) await redis.set(key, '1');
  for (const key of [unrecorded(shard), choiceUnknown(shard)]) await redis.sadd(key, 'somebody');
  for (const key of [apartDue(shard), apartActive(shard), erased(shard)]) await redis.zadd(key, 1, 'somebody');
  let during: Promise<unknown> = Promise.resolve();
  const tried: string[] = [];
  const moved = await cluster.moveSlot(
    slot,
    to,
    async () => {
      during = store
        .touch([{ userId: 'user-1', sessionId: 'session-of-user-1', conn: 'conn-of-user-1', ageMs: 0, state: null }])
        .then(({ refused }) => tried.push(...refused.map(({ code }) => code)));
      // Given the time to be refused and to try again while half of the shard is there and half is here.
      await eventually(
        async () => (await Promise.all([from, to].map(({ client }) => client.info('errorstats')))).join('\n'),
        (stats) => stats.includes('errorstat_TRYAGAIN'),
      );
    },
    [keys.record('user-1')],
  );
  await during;
  expect(moved).toBeGreaterThan(5);
  expect(tried, 'sessions that were taken for unknown').toEqual([]);
  expect((await cluster.masterOf(slot)).id).toBe(to.id);
  const after = await store.snapshot(shard, ['user-1']);
  expect(after.users[0]).toMatchObject({ status: 'active', version: before.users[0]?.version });
});
