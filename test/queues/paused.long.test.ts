import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { connect, ending, keepAlive, TTL_MS, withPrivateRedis } from '../faults/outage.ts';
import { isActive, isInactive } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';

/** How often a worker looks after the schedulers. */
const ASSERTED_EVERY_MS = 30_000;

test('while an operator has paused timeouts and maintenance for minutes people come and go in time, nothing piles up, and once they are resumed or obliterated everybody has a job and each repeating job runs', async () => {
  const { rollcall } = await withPrivateRedis('paused queues');
  const open = (name: string) => {
    const queue = new Queue(name, {
      connection: rollcall.redis,
      prefix: rollcall.queuePrefix(name),
      skipMetasUpdate: true,
    });
    ending.push(() => queue.close());
    return queue;
  };
  const [timeouts, maintenance] = [open('timeouts'), open('maintenance')];
  const schedulers = () => maintenance.getJobSchedulers();
  /** A worker has looked after the schedulers: thereafter the settings of the queue are there again. */
  const lookedAfter = async () => {
    await rollcall.redis.hdel(maintenance.toKey('meta'), 'opts.maxLenEvents');
    await eventually(
      () => maintenance.getMeta(),
      ({ maxLenEvents }) => maxLenEvents === 200,
      ASSERTED_EVERY_MS + 10_000,
    );
  };
  await lookedAfter();
  const repeating = (await schedulers()).length;
  expect(repeating).toBeGreaterThan(0);
  const watcher = await connect(rollcall.web(1).url, 'watcher', { watch: ['silent', 'leaver', 'stays'] });
  keepAlive(watcher);
  const stays = await connect(rollcall.web(0).url, 'stays');
  keepAlive(stays);
  await timeouts.pause();
  await maintenance.pause();

  const silent = await connect(rollcall.web(0).url, 'silent');
  await watcher.hears('silent', isActive);
  await silent.beat();
  const beatAt = performance.now();
  const told = await watcher.hears('silent', isInactive, { withinMs: TTL_MS + 2500 });
  expect(told.heardAt - beatAt).toBeLessThanOrEqual(TTL_MS + 2000);
  for (let visits = 1; visits <= 20; visits++) {
    const leaver = await connect(rollcall.web(0).url, 'leaver');
    await watcher.hears('leaver', isActive, { after: 2 * visits - 2 });
    leaver.leave();
    await watcher.hears('leaver', isInactive, { after: 2 * visits - 1, withinMs: 2500 });
  }
  const onceLooked = (await timeouts.getJobs(['waiting', 'delayed'])).filter(({ name }) => name !== 'check');
  expect(onceLooked.length).toBeLessThan(20);

  for (let looks = 0; looks < 2; looks++) await lookedAfter();
  expect((await maintenance.getJobs(['waiting', 'delayed'])).length).toBe(repeating);
  const doneBefore = await maintenance.getCompletedCount();
  await maintenance.resume();
  await eventually(
    () => maintenance.getCompletedCount(),
    (done) => done > doneBefore,
    20_000,
  );

  await maintenance.obliterate({ force: true });
  await timeouts.obliterate({ force: true });
  await eventually(schedulers, (found) => found.length === repeating, ASSERTED_EVERY_MS + 10_000);
  await eventually(
    () => maintenance.getCompleted(),
    (jobs) => jobs.some(({ name }) => name === 'restore-jobs'),
    30_000,
  );
  const number = await rollcall.redis.hget(rollcall.key('user:sessions:stays'), 'j');
  await eventually(
    () => rollcall.redis.exists(rollcall.key(`bull:timeouts:check-stays-${number}`)),
    (exists) => exists === 1,
    60_000,
  );
  expect(watcher.of('stays').every(isActive)).toBe(true);
  expect(rollcall.faults).toEqual([]);
}, 300_000);
