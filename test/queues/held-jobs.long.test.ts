import { type Job, Worker } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogger } from '../../src/log.ts';
import { HeldJobs } from '../../workers/held-jobs.ts';
import { stalledJobs } from '../../workers/stalled-jobs.ts';
import { eventually } from '../support/eventually.ts';
import { OwnQueues } from './own-queues.ts';

/** A lock is renewed in time also where a busy machine holds this process up for a second. */
const TIMES = { lockDuration: 2000, stalledInterval: 500 };
const log = createLogger({ logLevel: 'silent' }, 'worker');

let own: OwnQueues;
const opened: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  own = await OwnQueues.open();
});
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
  await own?.close();
});

/** A worker as the service has them, with another process's connection. */
function startWorker(work: (job: Job) => Promise<unknown>, name = 'broadcasts'): Worker {
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  let worker: Worker | undefined;
  const held = new HeldJobs(TIMES.lockDuration, () => worker);
  worker = new Worker(name, (job, token = '') => held.during(job, token, () => work(job)), {
    connection,
    prefix: own.keys.queuePrefix(name),
    skipLockRenewal: true,
    skipStalledCheck: true,
    maxStalledCount: 10,
    ...TIMES,
  });
  worker.on('error', () => {});
  opened.push(async () => {
    await worker?.close(true);
    connection.disconnect();
  });
  return worker;
}

async function lookForStalled(...workers: Worker[]): Promise<void> {
  const watched = workers.map((worker) => ({ worker, everyMs: TIMES.stalledInterval }));
  const looks = stalledJobs(watched, own.queues, log);
  await looks.start();
  opened.push(() => looks.stop());
}

/** How often BullMQ's search for stalled jobs has run: each leaves when it did. */
const searched = (name: string) => own.redis.exists(`${own.keys.queuePrefix(name)}:${name}:stalled-check`);

test('a job that takes many times as long as its lock lasts is done by one worker, once', async () => {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const begun: string[] = [];
  const work = async ({ data }: Job) => {
    begun.push(data.name);
    await over;
  };
  await lookForStalled(startWorker(work), startWorker(work));
  await own.queues.queue('broadcasts').add('drain', { name: 'long' });
  await eventually(
    () => begun.length,
    (count) => count === 1,
  );
  // Searches go on for as long as there is something in hand.
  const key = own.queues.queue('broadcasts').toKey('stalled-check');
  for (let searches = 0; searches < 12; searches++) {
    await eventually(
      () => own.redis.exists(key),
      (found) => found === 1,
    );
    await eventually(
      () => own.redis.exists(key),
      (found) => found === 0,
    );
  }
  end();
  await eventually(
    () => own.queues.queue('broadcasts').getActiveCount(),
    (count) => count === 0,
  );
  expect(begun).toEqual(['long']);
});

test('a job that a dead worker held is done by another one', async () => {
  const queue = own.queues.queue('last-seen');
  const taken = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  const connection = own.redis.duplicate({ maxRetriesPerRequest: null });
  const dead = new Worker(
    'last-seen',
    async () => {
      taken.resolve();
      await never.promise;
    },
    { connection, prefix: own.keys.queuePrefix('last-seen'), skipLockRenewal: true, skipStalledCheck: true, ...TIMES },
  );
  dead.on('error', () => {});
  await queue.add('drain', { name: 'left' });
  await taken.promise;
  connection.disconnect();
  const done: string[] = [];
  const alive = startWorker(async ({ data }) => done.push(data.name), 'last-seen');
  await lookForStalled(alive);
  await eventually(
    () => done.length,
    (count) => count === 1,
    20_000,
  );
  expect(done).toEqual(['left']);
  never.resolve();
  await dead.close(true);
});

test('where no queue has a job in hand no queue is searched for jobs of the dead', async () => {
  const looked = Promise.withResolvers<void>();
  let looks = 0;
  const watched = [{ worker: startWorker(async () => {}), everyMs: TIMES.stalledInterval }];
  const service = stalledJobs(
    watched,
    {
      anyInHand: async () => {
        const found = await own.queues.anyInHand();
        if (++looks === 2) looked.resolve();
        return found;
      },
    },
    log,
  );
  await service.start();
  opened.push(() => service.stop());
  await looked.promise;
  expect(await searched('broadcasts')).toBe(0);
});
