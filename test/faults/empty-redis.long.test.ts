import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { isActive, isInactive, rest, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { privateRedis } from '../support/stores.ts';
import { connect, ending } from './outage.ts';

const USERS = Array.from({ length: 200 }, (_, n) => `user-${n}`);
const INTERVAL_MS = 4000;
const TTL_MS = 12_000;

test('two hundred people on two webs, and Redis is emptied: nobody is told that anybody left, and within one heartbeat interval all is there again', async () => {
  const redis = await privateRedis();
  ending.push(() => redis.stop());
  const rollcall = await Deployment.start('empty redis', {
    redisUrl: redis.url,
    webs: 2,
    env: {
      AUDIENCE: 'watchers',
      PRESENCE_TTL_SECONDS: String(TTL_MS / 1000),
      HEARTBEAT_INTERVAL_SECONDS: String(INTERVAL_MS / 1000),
      HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
      HANDOVER_SECONDS: '1',
    },
  });
  ending.push(() => rollcall.stop());
  const watchers = [
    await connect(rollcall.web(0).url, 'watcher-0', { watch: USERS, heartbeat: 'pong' }),
    await connect(rollcall.web(1).url, 'watcher-1', { watch: USERS, heartbeat: 'pong', batch: true }),
  ];
  for (const [n, userId] of USERS.entries()) {
    await connect(rollcall.web(n % 2).url, userId, { heartbeat: 'pong', deviceId: 'phone', watch: [] });
  }
  for (const watcher of watchers) for (const userId of USERS) await watcher.hears(userId, isActive);
  await eventually(
    () => rollcall.db('users').where({ status: 'active' }).count(),
    ([row]) => Number(row?.count) === USERS.length + watchers.length,
    10_000,
  );
  const told = watchers.map((watcher) => watcher.heard.length);
  const frames = watchers.map((watcher) => watcher.frames.length);

  await rollcall.redis.flushall();
  const from = performance.now();
  await eventually(
    () => rollcall.redis.mget(USERS.map((userId) => rollcall.key(`user:status:${userId}`))),
    (values) => values.every((value) => value === 'active'),
    INTERVAL_MS,
  );
  const statusesAfterMs = performance.now() - from;
  const timeouts = new Queue('timeouts', { connection: rollcall.redis, prefix: rollcall.queuePrefix('timeouts') });
  await eventually(
    () => timeouts.getDelayed(0, -1),
    (jobs) => new Set(jobs.map((job) => job.data.userId)).size >= USERS.length,
    INTERVAL_MS - statusesAfterMs,
  );
  console.log(
    `restored after ${Math.round(statusesAfterMs)} ms, with jobs after ${Math.round(performance.now() - from)} ms`,
  );
  await timeouts.close();
  const { body } = await rest(rollcall.url, 'POST', '/users/status/query', {
    token: await tokenFor('somebody'),
    body: { userIds: USERS },
  });
  expect(body.users.filter((user: { status: string }) => user.status !== 'active')).toEqual([]);

  // Past the settling of the lost and the resync of the watchers, which come when all who live have had their time.
  await new Promise((resolve) => setTimeout(resolve, TTL_MS + 1000 + 12_000));
  for (const [n, watcher] of watchers.entries()) {
    expect(watcher.heard.filter(isInactive)).toEqual([]);
    for (const userId of USERS) {
      const of = watcher.heard.slice(told[n]).filter((change) => change.userId === userId);
      // No storm: as restored, by the resync, and perhaps once more by a repeated delivery.
      expect(of.length).toBeLessThanOrEqual(3);
      // To a receiver that drops what is not newer, as all do, it is one piece of news.
      expect(new Set(of.map((change) => change.version)).size).toBe(1);
      const versions = watcher.of(userId).map((change) => change.version);
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
    }
  }
  // And to those who take batches in few frames.
  expect((watchers[1]?.frames.length ?? 0) - (frames[1] ?? 0)).toBeLessThan(USERS.length / 4);
  const transitions = await rollcall.db('status_transitions').whereIn('user_id', USERS).count();
  expect(Number(transitions[0]?.count)).toBe(USERS.length);
}, 180_000);
