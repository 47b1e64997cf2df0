import { Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kindOf, timeoutJobId, USERS_NAMED } from '../../src/queues/jobs.ts';
import { OwnQueues } from './own-queues.ts';

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

const naming = () =>
  [...own.queues.all].flatMap(([name, queue]) =>
    USERS_NAMED[kindOf(name)] === 'nowhere' ? [] : [{ name, queue, inId: USERS_NAMED[kindOf(name)] === 'id' }],
  );
const left = async () => {
  const jobs = await Promise.all(
    naming().map(({ queue }) => queue.getJobs(['wait', 'delayed', 'prioritized', 'completed', 'failed'])),
  );
  return jobs.flat().map((job) => `${job.queueName}: ${JSON.stringify(job.data)}`);
};

test('in every queue that names users the jobs about an erased one go, whatever they wait for, and nobody else’s', async () => {
  let serial = 0;
  for (const { queue, inId } of naming()) {
    for (const userId of ['ann', 'ann.b', 'bob']) {
      const jobId = () => (inId ? timeoutJobId('check', userId, String(serial++)) : `job-${serial++}`);
      const data = { about: { userId }, more: ['x'] };
      await queue.add('waits', data, { jobId: jobId() });
      await queue.add('for later', data, { jobId: jobId(), delay: 3_600_000 });
      await queue.add('by priority', data, { jobId: jobId(), priority: 3 });
    }
    await queue.pause();
  }
  expect(await own.queues.removeJobs('ann', { keepTimeouts: false })).toBe(3 * naming().length);
  const rest = await left();
  expect(rest.filter((job) => job.includes('"ann"'))).toEqual([]);
  expect(rest).toHaveLength(2 * 3 * naming().length);
});

test('what a job answered names nobody who was erased, either', async () => {
  for (const { name, queue } of naming()) {
    const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
    const prefix = own.keys.queuePrefix(name);
    const worker = new Worker(name, async () => ({ told: ['ann'] }), { connection, prefix });
    const answered = new Promise((resolve) => worker.once('completed', resolve));
    await queue.add('answers', {}, { removeOnComplete: false });
    await answered;
    await worker.close();
    connection.disconnect();
  }
  expect(await left()).toHaveLength(naming().length);
  await own.queues.removeJobs('ann', { keepTimeouts: false });
  expect(await left()).toEqual([]);
});
