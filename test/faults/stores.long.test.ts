import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { isActive, isInactive, rest, tokenFor } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { connect, ENV, keepAlive, settled, TTL_MS, withPrivatePostgres, withPrivateRedis } from './outage.ts';

test('after FLUSHALL everybody who is here is restored at once, nobody is told that they left, and jobs and sweep work again', async () => {
  const { rollcall } = await withPrivateRedis('flushed');
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['stays', 'leaves', 'ghost'] });
  const stays = await connect(rollcall.web(0).url, 'stays');
  const leaves = await connect(rollcall.web(0).url, 'leaves');
  const ghost = await connect(rollcall.web(0).url, 'ghost');
  for (const client of [stays, leaves, ghost]) keepAlive(client);
  for (const userId of ['stays', 'leaves', 'ghost']) await watcher.hears(userId, isActive);
  for (const userId of ['stays', 'leaves', 'ghost']) await settled(rollcall, userId, 'active');

  await rollcall.redis.flushall();
  // Leaves while Redis knows nobody: no script can see that.
  ghost.leave();
  // Long before what was lost is settled, for which all who live are given a TTL and the time of a handover.
  await eventually(
    () => rollcall.redis.get(rollcall.key('user:status:stays')),
    (value) => value === 'active',
    TTL_MS,
  );
  await watcher.hears('stays', isActive, { after: 1, withinMs: 3000 });
  expect(watcher.of('stays').map((change) => change.status)).toEqual(['active', 'active']);
  leaves.leave();
  await watcher.hears('leaves', isInactive, { withinMs: 3000 });
  // Whoever left during the loss does not stay a ghost.
  await watcher.hears('ghost', isInactive, { withinMs: 40_000 });
  expect(watcher.of('stays').every(isActive)).toBe(true);
  for (const userId of ['stays', 'leaves', 'ghost']) {
    const versions = watcher.of(userId).map((change) => change.version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
  }
  const history = await eventually(
    () => rollcall.db('status_transitions').where({ user_id: 'stays' }),
    (rows) => rows.length > 0,
  );
  expect(history.map((row) => row.cause)).toEqual(['connect']);
}, 90_000);

test('while Redis is away for longer than the TTL, nobody who keeps beating is expired, and who fell silent is', async () => {
  const { rollcall, redis } = await withPrivateRedis('redis away');
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['beats', 'silent', 'marker'] });
  const beats = await connect(rollcall.web(0).url, 'beats');
  await connect(rollcall.web(0).url, 'silent');
  await watcher.hears('beats', isActive);
  await watcher.hears('silent', isActive);
  keepAlive(beats);
  await redis.shutdown();
  const refused = await rest(rollcall.url, 'GET', '/users/beats/status', { token: await tokenFor('watcher') });
  expect(refused).toMatchObject({
    status: 503,
    body: { code: 'UNAVAILABLE', message: expect.stringMatching(/^Redis is not answering/) },
  });
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]/);
  expect((await rest(rollcall.url, 'GET', '/readyz')).body).toMatchObject({ ready: false, redis: false });
  await new Promise((resolve) => setTimeout(resolve, TTL_MS + 1500));
  await redis.start();
  const back = performance.now();
  const gone = await watcher.hears('silent', isInactive, { withinMs: 5000 });
  expect(gone.heardAt - back).toBeLessThan(2500);
  // The hold is over and the sweep has been by: had it been too early, this one would have gone too.
  await connect(rollcall.web(0).url, 'marker');
  await watcher.hears('marker', isActive);
  expect(watcher.of('beats').map((change) => change.status)).toEqual(['active']);
  const token = await tokenFor('watcher');
  expect((await rest(rollcall.url, 'GET', '/users/beats/status', { token })).body).toMatchObject({ status: 'active' });
}, 60_000);

test('a goodbye that Redis could not hear is told when it is back, with the moment at which it was said', async () => {
  const { rollcall, redis } = await withPrivateRedis('goodbye kept');
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['ada'] });
  const ada = await connect(rollcall.web(0).url, 'ada');
  await watcher.hears('ada', isActive);
  await redis.shutdown();
  ada.leave();
  const at = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await redis.start();
  const gone = await watcher.hears('ada', isInactive, { withinMs: 3000 });
  expect(Math.abs(Date.parse(gone.lastSeen ?? '') - at)).toBeLessThan(1000);
}, 60_000);

test('a row that PostgreSQL refuses is put aside and can be tried again; all others of its batch are written', async () => {
  const { rollcall } = await withPrivatePostgres('row refused', { ...ENV, PRESENCE_TTL_SECONDS: '60' });
  const { db } = rollcall;
  await db.raw(`ALTER TABLE users ADD CONSTRAINT no_mallory CHECK (id <> 'mallory')`);
  await rollcall.worker(0).end();
  const crowd = ['alice', 'mallory', ...Array.from({ length: 20 }, (_, n) => `user-${n}`)];
  for (const userId of crowd) await connect(rollcall.url, userId);
  const worker = await rollcall.addWorker();
  await worker.said(/PostgreSQL refused a row/);
  await eventually(
    () => db('users').where({ status: 'active' }).pluck('id'),
    (ids) => crowd.every((id) => id === 'mallory' || ids.includes(id)),
  );
  const failed = await eventually(
    () => rollcall.redis.zrange(rollcall.key('bull:last-seen:failed'), '0', '-1'),
    (ids) => ids.length > 0,
  );
  const job = await rollcall.redis.hgetall(rollcall.key(`bull:last-seen:${failed[0]}`));
  expect(JSON.parse(job.data ?? '{}')).toMatchObject({ entry: { change: { userId: 'mallory', status: 'active' } } });
  expect(job.failedReason).toContain('no_mallory');

  await db.raw('ALTER TABLE users DROP CONSTRAINT no_mallory');
  const queue = new Queue('last-seen', { connection: rollcall.redis, prefix: rollcall.queuePrefix('last-seen') });
  await (await queue.getJob(failed[0] ?? ''))?.retry();
  await eventually(
    () => db('users').where({ id: 'mallory' }).first(),
    (row) => row?.status === 'active',
  );
  await queue.close();
}, 60_000);

test('web and worker that are told to go while Redis cannot be reached end with 0 in under 25 seconds', async () => {
  const { rollcall, redis } = await withPrivateRedis('stop without redis');
  await connect(rollcall.web(0).url, 'ada');
  await redis.shutdown();
  const programs = [rollcall.web(0), rollcall.web(1), rollcall.worker(0)];
  const from = performance.now();
  for (const program of programs) program.kill('SIGTERM');
  for (const program of programs) expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - from).toBeLessThan(25_000);
});

test('who stays for long is in PostgreSQL with a last seen that is minutes old at most', async () => {
  const { rollcall } = await withPrivateRedis('record active');
  const ada = await connect(rollcall.web(0).url, 'ada');
  await settled(rollcall, 'ada', 'active');
  await ada.beat();
  const seen = await rollcall.redis.get(rollcall.key('user:last_seen:ada'));
  const queue = new Queue('maintenance', { connection: rollcall.redis, prefix: rollcall.queuePrefix('maintenance') });
  const schedulers = await eventually(
    () => queue.getJobSchedulers(),
    (found) => found.some(({ name }) => name === 'record-active'),
  );
  // It comes around every two minutes by itself; the test does not wait for that.
  expect(schedulers.find(({ name }) => name === 'record-active')?.every).toBe(120_000);
  await queue.add('record-active', {});
  await eventually(
    () => rollcall.db('users').where({ id: 'ada' }).first(),
    (row) => row.last_seen.toISOString() >= (seen ?? ''),
  );
  await queue.close();
});
