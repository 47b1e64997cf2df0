import { Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

const NAMES = ['timeouts', 'timeouts-2', 'timeouts-3'];
const USERS = Array.from({ length: 30 }, (_, n) => `user-${n}`);
const opened: Queue[] = [];
let rollcall: Deployment;
let clients: TestClient[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('timeout queues', { env: { ...CALM, TIMEOUT_QUEUES: '3' } });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((queue) => queue.close()));
});
afterAll(() => rollcall?.stop());

function open(name: string): Queue {
  const options = { connection: rollcall.redis, prefix: rollcall.queuePrefix(name), skipMetasUpdate: true };
  const queue = new Queue(name, options);
  opened.push(queue);
  return queue;
}

/** Who belongs to each queue, and one of each who leaves. */
const spreadOf = () => NAMES.map((_, n) => USERS.filter((userId) => shardOf(userId) % NAMES.length === n).sort());
const leaversOf = (spread: string[][]) => spread.map(([userId]) => userId ?? '');

/** Whose checks wait in each queue. */
async function waiting(queues: Queue[]): Promise<string[][]> {
  return Promise.all(
    queues.map(async (queue) => {
      const jobs = await queue.getJobs(['delayed']);
      return jobs.filter(({ name }) => name === 'check').map(({ data }) => data.userId);
    }),
  );
}

test('the timeout jobs are spread over as many queues as are set, and each is worked on', async () => {
  const queues = NAMES.map(open);
  const spread = spreadOf();
  clients = await Promise.all(USERS.map((userId) => TestClient.connect(rollcall.url, userId)));
  const found = await eventually(
    () => waiting(queues),
    (all) => all.flat().length === USERS.length,
  );
  expect(found.map((users) => users.sort())).toEqual(spread);
  const leavers = leaversOf(spread);
  for (const [n, client] of clients.entries()) if (leavers.includes(USERS[n] ?? '')) client.leave();
  const gone = () => rollcall.db('users').where({ status: 'inactive' }).pluck('id');
  expect((await eventually(gone, (ids) => ids.length === leavers.length)).sort()).toEqual([...leavers].sort());
  for (const queue of queues) {
    await eventually(
      () => queue.getCompletedCount(),
      (count) => count > 0,
    );
  }
});

test('where there are fewer queues than before everybody has a job in those, and the others go', async () => {
  const [first, ...others] = NAMES.map(open);
  if (!first) throw new Error('no queue');
  const leavers = leaversOf(spreadOf());
  const here = USERS.filter((userId) => !leavers.includes(userId));
  await rollcall.worker(0).end();
  await rollcall.addWorker({ TIMEOUT_QUEUES: '1' });
  const maintenance = open('maintenance');
  await maintenance.add('restore-jobs', {});
  await maintenance.add('drop-old', {});
  await eventually(
    () => waiting([first]),
    // The job of somebody who left goes by itself, a while later.
    ([users]) => here.every((userId) => users?.includes(userId)),
    30_000,
  );
  for (const queue of others) {
    const key = () => rollcall.redis.exists(queue.toKey('meta'), queue.toKey('delayed'));
    await eventually(key, (exists) => exists === 0);
  }
});
