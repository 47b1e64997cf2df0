import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { QueueName } from '../../src/queues/jobs.ts';
import { eventually } from '../support/eventually.ts';
import { OwnQueues } from './own-queues.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
/** What may pass between the making of a job and the reading of its figure, on a busy machine. */
const SLACK = 20 * SECOND;

let own: OwnQueues;
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(() => own?.close());

const queue = (name: QueueName) => own.queues.queue(name);

/** For how long (ms) the job of the queue that waits longest has been due, as the metrics say. */
async function oldest(name: QueueName): Promise<number> {
  return (await own.queues.figures()).find((figures) => figures.queue === name)?.oldestMs ?? Number.NaN;
}

async function expectOldest(name: QueueName, ms: number): Promise<void> {
  const found = await oldest(name);
  expect(found).toBeGreaterThanOrEqual(ms);
  expect(found).toBeLessThan(ms + SLACK);
}

/** Has the next job tried once, by a worker that then goes. */
async function tryOnce(name: QueueName, processor: (job: Job, token?: string) => Promise<unknown>): Promise<void> {
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const options = { connection, prefix: own.keys.queuePrefix(name) };
  let tried = false;
  const worker = new Worker(
    name,
    async (job, token) => {
      tried = true;
      return processor(job, token);
    },
    options,
  );
  await eventually(
    () => tried,
    (done) => done,
    20_000,
  );
  await worker.close();
  connection.disconnect();
}

/** A worker looks at a paused queue, as it does now and then: what is due is put among those that wait. */
async function lookAt(name: QueueName): Promise<number> {
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const options = { connection, prefix: own.keys.queuePrefix(name), autorun: false };
  const worker = new Worker(name, null, options);
  await worker.getNextJob('a token', { block: false });
  await worker.close();
  connection.disconnect();
  return queue(name).getWaitingCount();
}

test('a queue in which nothing waits, or only what is not due yet, is not behind', async () => {
  expect(await oldest('notifications')).toBe(0);
  await queue('notifications').add('later', {}, { timestamp: Date.now() - HOUR, delay: 2 * HOUR });
  expect(await oldest('notifications')).toBe(0);
});

test('a job whose time has come while no worker looks has been due since then, not since it was taken notice of', async () => {
  await queue('notifications').add('due', {}, { timestamp: Date.now() - HOUR, delay: HOUR - 90 * SECOND });
  await queue('notifications').add('later', {}, { delay: HOUR });
  await expectOldest('notifications', 90 * SECOND);
});

test('a job that was delayed has been due since its time came, not since it was added', async () => {
  await queue('notifications').add('due', {}, { timestamp: Date.now() - HOUR, delay: HOUR - 90 * SECOND });
  await queue('notifications').pause();
  expect(await lookAt('notifications')).toBe(1);
  await expectOldest('notifications', 90 * SECOND);
});

test('a job that an operator promotes before its time has been due since then, as was first seen', async () => {
  const job = await queue('notifications').add('early', {}, { timestamp: Date.now() - HOUR, delay: 2 * HOUR });
  await job.promote();
  expect(await oldest('notifications')).toBe(0);
  await eventually(
    () => oldest('notifications'),
    (ms) => ms >= 200 && ms < SLACK,
  );
});

test('a check that re-armed itself has been due since its new time, not since it was first added', async () => {
  const data = { userId: 'ada', due: new Date(Date.now() - 90 * SECOND).toISOString() };
  await queue('timeouts').add('check', data, { jobId: 'check-ada-1', timestamp: Date.now() - HOUR, delay: 1 });
  await queue('timeouts').pause();
  await eventually(
    () => lookAt('timeouts'),
    (waiting) => waiting === 1,
  );
  await expectOldest('timeouts', 90 * SECOND);
});

test('a job that failed and is tried again has not been due since it was first added', async () => {
  await queue('pushes').add(
    'push',
    {},
    {
      timestamp: Date.now() - HOUR,
      attempts: 3,
      backoff: { type: 'fixed', delay: 1 },
    },
  );
  await tryOnce('pushes', async () => {
    await queue('pushes').pause();
    throw new Error('no answer');
  });
  await eventually(
    () => lookAt('pushes'),
    (waiting) => waiting === 1,
  );
  await expectOldest('pushes', 0);
  // It is seen to wait from now on.
  await eventually(
    () => oldest('pushes'),
    (ms) => ms >= 200 && ms < SLACK,
  );
});

test('a failed job that an operator retries has not been due since it was first added', async () => {
  const job = await queue('last-seen').add('rejected', {}, { timestamp: Date.now() - HOUR });
  await tryOnce('last-seen', async () => {
    throw new UnrecoverableError('refused');
  });
  await eventually(
    () => job.getState(),
    (state) => state === 'failed',
  );
  await job.retry();
  await expectOldest('last-seen', 0);
});

test('a job that comes back to the head of its queue after each try has not been waiting meanwhile', async () => {
  const add = () =>
    queue('webhooks').add('deliver', {}, { jobId: 'deliver', attempts: 100, backoff: { type: 'fixed', delay: HOUR } });
  await add();
  for (let tries = 0; tries < 3; tries++) {
    await eventually(
      () => oldest('webhooks'),
      (ms) => ms >= 300,
    );
    await tryOnce('webhooks', async () => {
      throw new Error('no answer');
    });
    await queue('webhooks').promoteJobs();
    expect(await oldest('webhooks')).toBe(0);
  }
});

test('a repeating job that waits in maintenance is due since its turn, although a worker looks after it again and again', async () => {
  const maintenance = queue('maintenance');
  await own.queues.assertMaintenance();
  await eventually(
    () => oldest('maintenance'),
    (ms) => ms >= 500,
  );
  await own.queues.assertMaintenance();
  expect(await oldest('maintenance')).toBeGreaterThanOrEqual(500);
  await maintenance.pause();
  await own.queues.assertMaintenance();
  expect(await oldest('maintenance')).toBeGreaterThanOrEqual(500);
});
