import { DelayedError, type Job, Queue, Worker } from 'bullmq';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openWorld, type World } from './rest-world.ts';

const HOUR = 3_600_000;
/** The clocks of what made a job and of what put it back are one; between the two readings of it a moment passes. */
const SLACK = 30_000;

let world: World;
let queue: Queue;
let worker: Worker | undefined;
const connection = { host: '', port: 0 };
const prefix = `board_times_${process.pid}`;

beforeAll(async () => {
  const { hostname, port } = new URL(inject('sharedStores').redisUrl);
  Object.assign(connection, { host: hostname, port: Number(port) });
  queue = new Queue('timeouts', { connection, prefix });
  world = await openWorld({ ADMIN_PASSWORD: 'correct horse' }, { boardQueues: [queue] });
});
afterAll(async () => {
  await worker?.close();
  await world.app.close();
  await queue.obliterate({ force: true });
  await queue.close();
});

interface Shown {
  id: string;
  timestamp: number;
  delay: number;
  opts: { delay?: number };
  data: { due?: string };
}

/** The job as the board's page gets it, in its list and by itself. */
async function shown(id: string): Promise<Shown[]> {
  const ask = async (path: string) => {
    const authorization = `Basic ${Buffer.from('admin:correct horse').toString('base64')}`;
    const answer = await world.app.inject({ url: `/admin/queues/api/queues${path}`, headers: { authorization } });
    expect(answer.statusCode).toBe(200);
    return answer.json();
  };
  const { queues } = await ask('?activeQueue=timeouts&status=delayed');
  const listed = (queues[0].jobs as Shown[]).find((job) => job.id === id);
  if (!listed) throw new Error(`${id} is not on the board`);
  return [listed, (await ask(`/timeouts/${id}`)).job];
}

/** When the page says that a job will run, in each of the two ways in which it reckons. */
const reckoned = (job: Shown) => [
  job.timestamp + (job.opts.delay || job.delay || 0),
  job.timestamp + (job.delay || 0),
  ...(job.data.due === undefined ? [] : [Date.parse(job.data.due)]),
];

async function expectDue(id: string, due: number): Promise<void> {
  for (const job of await shown(id)) {
    for (const at of reckoned(job)) expect(Math.abs(at - due)).toBeLessThan(SLACK);
  }
}

/** An hour old, and due a second after it was added. */
const add = (name: string, data: object, opts: object = {}) =>
  queue.add(name, data, { jobId: `${name}-ada-1`, timestamp: Date.now() - HOUR, delay: 1000, ...opts });

async function tried(id: string, processor: (job: Job, token?: string) => Promise<unknown>): Promise<void> {
  worker = new Worker('timeouts', processor, { connection, prefix });
  await eventually(
    async () => (await queue.getJob(id))?.attemptsStarted ?? 0,
    (starts) => starts > 0,
  );
  await worker.close();
}

test('a check that re-armed itself is shown to be due when it will look again', async () => {
  await add('check', { userId: 'ada', due: new Date(Date.now() - HOUR + 1000).toISOString() });
  const due = Date.now() + 10 * 60_000;
  await tried('check-ada-1', async (job, token) => {
    await job.updateData({ ...job.data, due: new Date(due).toISOString() });
    await job.moveToDelayed(due, token);
    throw new DelayedError();
  });
  await expectDue('check-ada-1', due);
});

test('a job that failed and is tried again is shown to be due when that will be', async () => {
  await add('push', {}, { attempts: 3, backoff: { type: 'fixed', delay: HOUR } });
  await tried('push-ada-1', async () => {
    throw new Error('no answer');
  });
  await expectDue('push-ada-1', Date.now() + HOUR);
});

test('a check whose delay an operator changed is shown to be due when they said', async () => {
  const job = await add(
    'silent',
    { userId: 'ada', due: new Date(Date.now() + HOUR).toISOString() },
    { delay: 2 * HOUR },
  );
  await job.changeDelay(HOUR / 2);
  await expectDue('silent-ada-1', Date.now() + HOUR / 2);
});

test('what a job carries is not changed by being looked at', async () => {
  const before = await Promise.all(['check-ada-1', 'silent-ada-1'].map((id) => queue.getJob(id)));
  await shown('check-ada-1');
  const after = await Promise.all(['check-ada-1', 'silent-ada-1'].map((id) => queue.getJob(id)));
  expect(after.map((job) => job?.asJSON())).toEqual(before.map((job) => job?.asJSON()));
});
