import { Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kindOf, type QueueKind, TIMEOUT_JOB_NAMES, timeoutJobId, USERS_NAMED } from '../../src/queues/jobs.ts';
import { OwnQueues } from './own-queues.ts';

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

/** The queues whose jobs are found by their ids. */
type ById = { [Kind in QueueKind]: (typeof USERS_NAMED)[Kind] extends string ? never : Kind }[QueueKind];
/** An id of each sort that such a queue gives its jobs, as the code that adds them makes it. */
const IDS: Record<ById, (userId: string, serial: number) => string[]> = {
  timeouts: (userId, serial) => TIMEOUT_JOB_NAMES.map((name) => timeoutJobId(name, userId, String(serial))),
};

const naming = () =>
  [...own.queues.all].flatMap(([name, queue]) => {
    const kind = kindOf(name);
    if (USERS_NAMED[kind] === 'nowhere') return [];
    const ids = (userId: string, serial: number) =>
      typeof USERS_NAMED[kind] === 'string' ? [`job-${serial}`] : IDS[kind as ById](userId, serial);
    return [{ name, queue, ids }];
  });
const left = async () => {
  const jobs = await Promise.all(
    naming().map(({ queue }) => queue.getJobs(['wait', 'delayed', 'prioritized', 'completed', 'failed'])),
  );
  return jobs.flat().map((job) => `${job.queueName}: ${JSON.stringify(job.data)}`);
};

test('in every queue that names users the jobs about an erased one go, whatever they wait for, and nobody else’s', async () => {
  let serial = 0;
  let about = 0;
  for (const { queue, ids } of naming()) {
    for (const userId of ['ann', 'ann.b', 'ann-b', 'bob']) {
      const data = { about: { userId }, more: ['x'] };
      for (const opts of [{}, { delay: 3_600_000 }, { priority: 3 }]) {
        for (const jobId of ids(userId, serial++)) {
          await queue.add('one', data, { jobId, ...opts });
          if (userId === 'ann') about++;
        }
      }
    }
    await queue.pause();
  }
  expect(await own.queues.removeJobs('ann', { keepTimeouts: false })).toEqual({ removed: about, atWork: 0 });
  const rest = await left();
  expect(rest.filter((job) => job.includes('"ann"'))).toEqual([]);
  expect(rest).toHaveLength(3 * about);
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

test('a job that somebody is at work on is told, so that it is looked for again, and goes once it is done', async () => {
  const name = 'timeouts';
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = async () => {
    begun.resolve();
    await mayEnd.promise;
  };
  const worker = new Worker(name, work, { connection, prefix: own.keys.queuePrefix(name) });
  const done = new Promise((resolve) => worker.once('completed', resolve));
  const data = { userIds: ['ann', 'bob'] };
  await own.queues.queue(name).add('closed', data as never, { jobId: 'together-1x1', removeOnComplete: false });
  await begun.promise;
  expect(await own.queues.removeJobs('ann', { keepTimeouts: false })).toEqual({ removed: 0, atWork: 1 });
  mayEnd.resolve();
  await done;
  await worker.close();
  connection.disconnect();
  expect(await own.queues.removeJobs('ann', { keepTimeouts: false })).toEqual({ removed: 1, atWork: 0 });
  expect(await left()).toEqual([]);
});
