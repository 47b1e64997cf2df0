import { Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Arm } from '../../src/presence/follow-up.ts';
import { timeoutJobId } from '../../src/queues/jobs.ts';
import { OwnQueues } from './own-queues.ts';

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

const timeouts = () => own.queues.queue('timeouts');
const enqueue = (...arms: Arm[]) => own.queues.enqueue({ shard: 3, wakeDeliver: false, wakeRecord: false, arms });
const check = (userId: string, delayMs: number): Arm => ({ kind: 'check', userId, number: '1', delayMs });
const worker = (heard: (userId: string) => void) => {
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const prefix = own.keys.queuePrefix('timeouts');
  const working = new Worker('timeouts', async ({ data }) => heard(data.userId), { connection, prefix });
  return async () => {
    await working.close();
    connection.disconnect();
  };
};

test('the job that sleeps for each user stands in Redis, and is read, as one that BullMQ itself has added', async () => {
  await enqueue(check('ann', 60_000), check('bob', 90_000), check('cy:d', 3_600_000));
  const id = timeoutJobId('check', 'ann', '1');
  const job = await timeouts().getJob(id);
  await timeouts().add('check', job?.data, { jobId: 'theirs', delay: 60_000, timestamp: job?.timestamp ?? 0 });
  const stored = async (jobId: string) => {
    const { opts = '', ...fields } = await own.redis.hgetall(timeouts().toKey(jobId));
    // BullMQ keeps there, too, that this test has said when it was added.
    const { timestamp, ...options } = JSON.parse(opts);
    return { ...fields, opts: options };
  };
  expect(await stored(id)).toEqual(await stored('theirs'));
  const dueOf = async (jobId: string) =>
    Math.floor(Number(await own.redis.zscore(timeouts().toKey('delayed'), jobId)) / 4096);
  expect(await dueOf(id)).toBe((job?.timestamp ?? 0) + 60_000);
  expect(await dueOf(id)).toBe(await dueOf('theirs'));
  expect(job).toMatchObject({
    id,
    name: 'check',
    data: { userId: 'ann' },
    delay: 60_000,
    opts: { attempts: 0, delay: 60_000 },
  });
  expect(await job?.getState()).toBe('delayed');
  expect(await timeouts().getJobCounts('delayed', 'wait')).toEqual({ delayed: 4, wait: 0 });
});

test('of more than go in one call each is added, and one that is there already stays as it is', async () => {
  await enqueue(check('user-7', 60_000));
  const before = await timeouts().getJob(timeoutJobId('check', 'user-7', '1'));
  await enqueue(...Array.from({ length: 250 }, (_, n) => check(`user-${n}`, 3_600_000 + n)));
  expect(await timeouts().getDelayedCount()).toBe(250);
  const after = await timeouts().getJob(timeoutJobId('check', 'user-7', '1'));
  expect(after?.asJSON()).toEqual(before?.asJSON());
});

test('workers that wait are woken in time by one that is due before all others', async () => {
  const heard: string[] = [];
  const both = Promise.withResolvers<void>();
  const stop = worker((userId) => {
    heard.push(userId);
    if (heard.length === 2) both.resolve();
  });
  await enqueue(check('late', 3_600_000));
  await enqueue(check('second', 2000));
  await enqueue(check('first', 100));
  await both.promise;
  expect(heard).toEqual(['first', 'second']);
  await stop();
});
