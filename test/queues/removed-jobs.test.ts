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
const gone = (userId: string): Arm => ({ kind: 'remove', userId, number: '1' });
/** What Redis holds beside the queue's own keys. */
const kept = async () => (await own.redis.keys('bull:timeouts:check-*')).sort();

test('the job of whoever is gone goes, wherever it waits, leaves nothing behind, and takes nobody else’s along', async () => {
  await enqueue(check('ann', 60_000), check('bob', 60_000), check('cy:d', 60_000), check('due', 0));
  await enqueue(gone('ann'), gone('cy:d'), gone('due'), gone('nobody'));
  expect(await kept()).toEqual([`bull:timeouts:${timeoutJobId('check', 'bob', '1')}`]);
  expect(await timeouts().getJobCounts('delayed', 'wait')).toEqual({ delayed: 1, wait: 0 });
});

test('a job at work is left to end by itself', async () => {
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const atWork = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const process = async () => {
    atWork.resolve();
    await mayEnd.promise;
  };
  const worker = new Worker('timeouts', process, { connection, prefix: own.keys.queuePrefix('timeouts') });
  const done = new Promise((resolve) => worker.once('completed', resolve));
  await enqueue(check('ann', 0));
  await atWork.promise;
  await enqueue(gone('ann')).catch(() => {});
  expect(await timeouts().getActiveCount()).toBe(1);
  mayEnd.resolve();
  await done;
  await worker.close();
  connection.disconnect();
});
