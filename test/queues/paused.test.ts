import { Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FollowUp } from '../../src/presence/follow-up.ts';
import type { QueueName } from '../../src/queues/jobs.ts';
import { eventually } from '../support/eventually.ts';
import { OwnQueues } from './own-queues.ts';

const REPEATING = [
  'compare-members',
  'compare-privacy',
  'complete-seen',
  'drop-old',
  'make-partitions',
  'note-minute',
  'prune-seen',
  'record-active',
  'restore-jobs',
  'settle-lost',
];

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

const queue = (name: QueueName) => own.queues.queue(name);

/** The names of all jobs of `maintenance` that are still to run. */
async function toRun(): Promise<string[]> {
  return (await queue('maintenance').getJobs(['waiting', 'delayed'])).map(({ name }) => name).sort();
}

/** A worker until it has done as many jobs, with their names. */
async function work(jobs: number): Promise<string[]> {
  const done: string[] = [];
  const options = { connection: own.redis.duplicate({ maxRetriesPerRequest: null }), prefix: own.keys.queuePrefix('') };
  const worker = new Worker('maintenance', async ({ name }) => done.push(name), options);
  await eventually(
    () => done.length,
    (count) => count >= jobs,
    20_000,
  );
  await worker.close();
  options.connection.disconnect();
  return done.sort();
}

test('while maintenance is paused each of its repeating jobs waits once, however long, and once resumed each runs once and goes on', async () => {
  const maintenance = queue('maintenance');
  await own.queues.assertMaintenance();
  expect(await toRun()).toEqual(REPEATING);
  await maintenance.pause();
  for (let minutes = 0; minutes < 5; minutes++) {
    // Their time comes, and a worker that looks after them finds them waiting.
    await maintenance.promoteJobs();
    await own.queues.assertMaintenance();
  }
  expect(await toRun()).toEqual(REPEATING);
  await maintenance.resume();
  expect(await work(REPEATING.length)).toEqual(expect.arrayContaining(REPEATING));
  expect(await toRun()).toEqual(REPEATING);
});

test('a maintenance that an operator paused and obliterated is whole again, and so are the settings of every queue', async () => {
  await own.queues.assertMaintenance();
  for (const each of own.queues.all.values()) await each.obliterate({ force: true });
  expect(await toRun()).toEqual([]);
  await own.queues.assertMaintenance();
  expect(await toRun()).toEqual(REPEATING);
  for (const each of own.queues.all.values()) {
    expect([each.name, await each.isPaused()]).toEqual([each.name, false]);
    expect(await each.getMeta()).toMatchObject({ maxLenEvents: 200 });
  }
});

test('a repeating job that lost its scheduler, its interval or its next run has them again', async () => {
  const maintenance = queue('maintenance');
  await own.queues.assertMaintenance();
  await work(REPEATING.length);
  await maintenance.removeJobScheduler('restore-jobs');
  await maintenance.upsertJobScheduler('settle-lost', { every: 86_400_000 }, { name: 'settle-lost' });
  const next = (await maintenance.getJobScheduler('drop-old'))?.next;
  // As a store would have it that came back with a part of its data.
  await own.redis.del(maintenance.toKey(`repeat:drop-old:${next}`));
  await own.redis.zrem(maintenance.toKey('delayed'), `repeat:drop-old:${next}`);
  expect((await toRun()).filter((name) => name === 'drop-old' || name === 'restore-jobs')).toEqual([]);
  await own.queues.assertMaintenance();
  expect(await toRun()).toEqual(REPEATING);
  expect(await maintenance.getJobScheduler('settle-lost')).toMatchObject({ every: 10_000 });
});

test.for(['broadcasts', 'last-seen'] as const)(
  'wake-ups do not pile up in %s while nobody works on it, and come again once somebody does',
  async (name) => {
    const wake: FollowUp = { shard: 3, wakeDeliver: true, wakeRecord: true, arms: [] };
    const waiting = () => queue(name).getWaitingCount();
    await queue(name).pause();
    const woken = async () => {
      const before = await waiting();
      for (let n = 0; n < 50; n++) await own.queues.enqueue(wake);
      return (await waiting()) - before;
    };
    // Whoever adds looks once a second, so a burst may bring more than there have to be.
    await eventually(woken, (added) => added === 0, 20_000);
    expect(await waiting()).toBeGreaterThanOrEqual(1000);
    await queue(name).drain();
    await eventually(woken, (added) => added === 50);
  },
);

test('to paused timeouts the checks that users keep are added and nothing that looks once', async () => {
  const timeouts = queue('timeouts');
  let serial = 0;
  /** Adds one of each for a new user; returns what is there of them then. */
  const added = async () => {
    const userId = `user-${serial++}`;
    await own.queues.enqueue({
      shard: 3,
      wakeDeliver: false,
      wakeRecord: false,
      arms: [
        { kind: 'check', userId, number: '1', delayMs: 60_000 },
        { kind: 'once', why: 'closed', userId, delayMs: 0 },
      ],
    });
    const jobs = await timeouts.getJobs(['waiting', 'delayed']);
    return jobs.filter(({ data }) => data.userId === userId).map(({ name }) => name);
  };
  expect((await added()).sort()).toEqual(['check', 'closed']);
  await timeouts.pause();
  await eventually(added, (names) => names.length === 1 && names[0] === 'check');
  await timeouts.resume();
  await eventually(added, (names) => names.length === 2);
});

test('whether a user still has a check to come is known without reading all those that wait in a paused queue', async () => {
  const timeouts = queue('timeouts');
  const users = Array.from({ length: 50 }, (_, n) => ({ userId: `user-${n}`, number: '1' }));
  const arms = users.map((user) => ({ kind: 'check' as const, delayMs: 60_000, ...user }));
  await own.queues.enqueue({ shard: 3, wakeDeliver: false, wakeRecord: false, arms });
  await timeouts.pause();
  await timeouts.promoteJobs();
  expect(await timeouts.getWaitingCount()).toBe(users.length);
  const lists = async () => Number(/cmdstat_lrange:calls=(\d+)/.exec(await own.redis.info('commandstats'))?.[1] ?? 0);
  const read = await lists();
  const asked = [...users, { userId: 'nobody', number: '1' }];
  expect(await own.queues.timeouts.coming(3, asked)).toEqual([...users.map(() => true), false]);
  expect((await lists()) - read).toBe(0);
});
