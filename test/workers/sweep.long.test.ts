import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { SHARDS } from '../../src/redis/keys.ts';
import { connect, ending, keepAlive, TTL_MS, withPrivatePostgres, withPrivateRedis } from '../faults/outage.ts';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { type Deployment, eventually } from '../support/deployment.ts';

const SILENT = Array.from({ length: 40 }, (_, n) => `silent-${n}`);

/** Nothing is left of the timeout jobs, waiting or delayed. */
async function deleteTimeoutJobs(rollcall: Deployment): Promise<void> {
  const queue = new Queue('timeouts', { connection: rollcall.redis, prefix: rollcall.queuePrefix('timeouts') });
  await queue.drain(true);
  await queue.close();
}

/**
 * Forty people come, beat until the watcher has heard of each, and once more together; then they are silent. `from` and `beatAt`:
 * before and after that last heartbeat of each (performance.now()).
 */
async function fallSilent(rollcall: Deployment, watcher: TestClient) {
  const timers: NodeJS.Timeout[] = [];
  const stop = () => timers.forEach((timer) => void clearInterval(timer));
  ending.push(stop);
  const silent = await Promise.all(
    SILENT.map(async (userId) => {
      const client = await connect(rollcall.web(0).url, userId);
      timers.push(setInterval(() => void client.beat().catch(() => {}), 700));
      return client;
    }),
  );
  for (const userId of SILENT) await watcher.hears(userId, isActive);
  stop();
  const from = performance.now();
  for (const answer of await Promise.all(silent.map((client) => client.beatAnew()))) {
    expect(answer).toMatchObject({ ok: true });
  }
  const beatAt = performance.now();
  const known = new Map(SILENT.map((userId) => [userId, watcher.of(userId).length]));
  /** When the watcher was told of each that they are gone (performance.now()). */
  const goneAt = () =>
    Promise.all(
      SILENT.map(async (userId) => {
        const after = known.get(userId) ?? 0;
        return (await watcher.hears(userId, isInactive, { after, withinMs: TTL_MS + 2500 })).heardAt;
      }),
    );
  return { from, beatAt, goneAt };
}

test('with all timeout jobs deleted by hand forty people who fall silent all go inactive within the TTL and two seconds, and whoever stays has a job again within a minute', async () => {
  const { rollcall } = await withPrivateRedis('sweep');
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: [...SILENT, 'stays'] });
  keepAlive(watcher);
  const stays = await connect(rollcall.web(0).url, 'stays');
  keepAlive(stays);
  const { from, beatAt, goneAt } = await fallSilent(rollcall, watcher);
  await deleteTimeoutJobs(rollcall);
  const gone = await goneAt();
  const latest = Math.max(...gone) - beatAt;
  expect(latest).toBeLessThanOrEqual(TTL_MS + 2000);
  expect(Math.min(...gone) - from).toBeGreaterThanOrEqual(TTL_MS - 500);
  expect(watcher.statuses('stays')).toEqual(['active']);

  const number = await rollcall.redis.hget(rollcall.key('user:sessions:stays'), 'j');
  await eventually(
    () => rollcall.redis.exists(rollcall.key(`bull:timeouts:check-stays-${number}`)),
    (exists) => exists === 1,
    60_000,
  );
  console.log(`told ${Math.round(latest - TTL_MS)} ms after the TTL at the latest`);
}, 180_000);

test('after FLUSHALL with every process left running, sweep, wake-ups, groups and schedulers are at work again by themselves', async () => {
  const { rollcall } = await withPrivateRedis('sweep flushed');
  const { redis } = rollcall;
  const watch = [...SILENT, 'stays', 'newcomer'];
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch });
  keepAlive(watcher);
  keepAlive(await connect(rollcall.web(0).url, 'stays'));
  await watcher.hears('stays', isActive);
  const { beatAt, goneAt } = await fallSilent(rollcall, watcher);
  await redis.flushall();

  // The sweep, its lease, and the groups of every shard.
  await eventually(
    () => redis.get(rollcall.key('presence:lease-sweep')),
    (token) => token !== null,
    5000,
  );
  for (let shard = 0; shard < SHARDS; shard++) {
    const groups = await eventually(
      () => redis.xinfo('GROUPS', rollcall.key(`presence:outbox:s${shard}`)).catch(() => []) as Promise<unknown[][]>,
      (found) => found.length === 2,
      5000,
    );
    expect(groups.map((group) => group[1]).sort()).toEqual(['deliver', 'record']);
  }
  // Timeouts, of restored sessions that are silent: told in time although the flush took their jobs along.
  expect(Math.max(...(await goneAt())) - beatAt).toBeLessThanOrEqual(TTL_MS + 2000);
  expect(watcher.of('stays').every(isActive)).toBe(true);
  // Wake-ups: a newcomer is told and recorded, by the queues and not only by the sweep.
  await connect(rollcall.web(0).url, 'newcomer');
  const from = performance.now();
  const told = await watcher.hears('newcomer', isActive, { withinMs: 2000 });
  expect(told.heardAt - from).toBeLessThan(2000);
  await eventually(
    () => rollcall.db('users').where({ id: 'newcomer' }).first(),
    (row) => row?.status === 'active',
    3000,
  );
  const maintenance = new Queue('maintenance', { connection: redis, prefix: rollcall.key('bull') });
  await eventually(
    async () => (await maintenance.getJobSchedulers()).map(({ name }) => name),
    (names) => ['record-active', 'restore-jobs', 'settle-lost'].every((name) => names.includes(name)),
    40_000,
  );
  // And they run.
  await eventually(
    () => maintenance.getCompleted(0, 20),
    (jobs) => jobs.some((job) => job.name === 'settle-lost'),
    30_000,
  );
  await maintenance.close();
  expect(rollcall.faults).toEqual([]);
}, 180_000);

test('while PostgreSQL is frozen and a newcomer waits for it, whoever falls silent is told in time, without a timeout job', async () => {
  const { rollcall, postgres } = await withPrivatePostgres('sweep beside postgres');
  const watcher = await connect(rollcall.url, 'watcher', { watch: ['ada'] });
  const ada = await connect(rollcall.url, 'ada');
  await watcher.hears('ada', isActive);
  keepAlive(watcher);
  const beats = setInterval(() => void ada.beat().catch(() => {}), 700);
  ending.push(() => clearInterval(beats));
  await postgres.kill('SIGSTOP');
  try {
    // Nobody can say what the newcomer chose: from now on the sweep would like to ask.
    const newcomer = new TestClient(rollcall.url, { token: await tokenFor('newcomer') });
    ending.push(() => newcomer.leave());
    await eventually(
      () =>
        Promise.all(
          Array.from({ length: SHARDS }, (_, n) => rollcall.redis.exists(rollcall.key(`presence:unseeded:s${n}`))),
        ),
      (shards) => shards.includes(1),
      30_000,
    );
    clearInterval(beats);
    expect(await ada.beatAnew()).toMatchObject({ ok: true });
    const beatAt = performance.now();
    await deleteTimeoutJobs(rollcall);
    const told = await watcher.hears('ada', isInactive, { withinMs: TTL_MS + 2500 });
    expect(told.heardAt - beatAt).toBeLessThanOrEqual(TTL_MS + 2000);
  } finally {
    await postgres.kill('SIGCONT');
  }
}, 120_000);
