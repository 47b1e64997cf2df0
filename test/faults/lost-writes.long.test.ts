import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { timeoutJobId } from '../../src/queues/jobs.ts';
import { rest, type TestClient, tokenFor } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { connect, keepAlive, withPrivateRedis } from './outage.ts';

async function signOut(url: string, userId: string, body: object = {}): Promise<void> {
  const answer = await rest(url, 'POST', '/users/logout', { token: await tokenFor(userId), body });
  expect(answer.status).toBe(204);
}

const signedOut = (client: TestClient) =>
  eventually(
    () => client.closed[0],
    (closed) => closed?.reason === 'logout',
    10_000,
  );

test('a logout ends sessions that an emptied Redis has not been told of yet', async () => {
  const { rollcall } = await withPrivateRedis('logout before the restore');
  const [holder, other] = [rollcall.web(0), rollcall.web(1)];
  const leaves = await connect(holder.url, 'leaves');
  const stays = await connect(holder.url, 'stays');
  for (const client of [leaves, stays]) keepAlive(client);
  holder.kill('SIGSTOP');
  await rollcall.redis.flushall();
  await signOut(other.url, 'leaves');
  holder.kill('SIGCONT');
  await signedOut(leaves);
  await eventually(
    () => rollcall.redis.exists(rollcall.key('user:status:stays')),
    (exists) => exists === 1,
    10_000,
  );
  expect(stays.closed).toEqual([]);
  // Who comes again after a logout is let in.
  await connect(other.url, 'leaves');
}, 180_000);

test('a logout that was answered is kept although Redis lost it, everywhere or of one session', async () => {
  const { rollcall } = await withPrivateRedis('logout lost');
  const [holder, other] = [rollcall.web(0), rollcall.web(1)];
  const everywhere = await connect(holder.url, 'everywhere', { deviceId: 'phone' });
  const phone = await connect(holder.url, 'of-one', { deviceId: 'phone' });
  const laptop = await connect(holder.url, 'of-one', { deviceId: 'laptop' });
  for (const client of [everywhere, phone, laptop]) keepAlive(client);
  // The web that holds them learns of it neither now nor, from a store without it, later.
  holder.kill('SIGSTOP');
  await signOut(other.url, 'everywhere');
  await signOut(other.url, 'of-one', { sessionId: phone.ready?.sessionId });
  await rollcall.redis.flushall();
  holder.kill('SIGCONT');
  await Promise.all([signedOut(everywhere), signedOut(phone)]);
  await eventually(
    () => rollcall.redis.exists(rollcall.key('user:status:of-one')),
    (exists) => exists === 1,
    10_000,
  );
  expect(laptop.closed).toEqual([]);
  expect(await rollcall.redis.exists(rollcall.key('user:status:everywhere'))).toBe(0);
}, 180_000);

test('somebody whose timeout job is done though they are here, as a failover may leave it, has one again', async () => {
  const { rollcall } = await withPrivateRedis('job is done');
  keepAlive(await connect(rollcall.web(0).url, 'here'));
  const number = String(await rollcall.redis.hget(rollcall.key('user:sessions:here'), 'j'));
  const id = timeoutJobId('check', 'here', number);
  const queue = new Queue('timeouts', { connection: rollcall.redis, prefix: rollcall.key('bull') });
  const maintenance = new Queue('maintenance', { connection: rollcall.redis, prefix: rollcall.key('bull') });
  try {
    // Until it is the one that has the id: `restore-jobs`, which runs by itself too, may have been quicker.
    const replaced = async () => {
      await queue.remove(id);
      await queue.add('closed', { userId: 'here', due: new Date().toISOString() }, { jobId: id });
      return (await queue.getJob(id))?.name;
    };
    await eventually(replaced, (name) => name === 'closed', 10_000);
    await maintenance.add('restore-jobs', {});
    const waiting = async () => (await queue.getDelayed()).map(({ id, name }) => [name, id]);
    await eventually(waiting, (jobs) => jobs.some(([name, jobId]) => name === 'check' && jobId === id), 10_000);
  } finally {
    await Promise.all([queue.close(), maintenance.close()]);
  }
}, 180_000);

test('a wake-up that lost what it was about leaves nothing behind', async () => {
  const { rollcall } = await withPrivateRedis('wake-up without a shard');
  for (const name of ['broadcasts', 'last-seen']) {
    const queue = new Queue(name, { connection: rollcall.redis, prefix: rollcall.key('bull') });
    const job = await queue.add('drain', {});
    await eventually(
      () => queue.getJobState(job.id ?? ''),
      (state) => state === 'completed',
      10_000,
    );
    await queue.close();
  }
  expect(await rollcall.redis.keys('*undefined*')).toEqual([]);
}, 180_000);
