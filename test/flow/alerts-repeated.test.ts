import type { Job } from 'bullmq';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, readConfig } from '../../src/config/config.ts';
import type { FriendActiveJob } from '../../src/queues/jobs.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { runFriendActive, scheduleAlerts } from '../../workers/alerts.ts';
import { alertOf, befriend, Listener } from '../support/alerts-world.ts';
import { TestClient } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';

/** Alerts wait for longer than these tests take, so that the tests can do what a worker would, step by step. */
let rollcall: Deployment;
let stores: Stores;
let config: Config;
let people = 0;

beforeAll(async () => {
  rollcall = await Deployment.start('alerts repeated', { env: { ALERT_STABLE_SECONDS: '600' } });
  config = readConfig({ ...rollcall.env, ALERT_COOLDOWN_SECONDS: '0' });
  stores = openStores(config, pino({ level: 'silent' }));
});
afterAll(async () => {
  await stores?.close();
  await rollcall?.stop();
});

/** Somebody came whom two others wanted to hear of; the job of that waits. */
async function came() {
  const n = ++people;
  const names = { friend: `friend:${n}`, ada: `ada-${n}`, bob: `bob-${n}` };
  await befriend(rollcall.db, names.ada, names.friend, 'once');
  await befriend(rollcall.db, names.bob, names.friend, 'always');
  const ada = await Listener.connect(rollcall.url, names.ada);
  const bob = await Listener.connect(rollcall.url, names.bob);
  const friend = await TestClient.connect(rollcall.url, names.friend);
  const job = (await eventually(
    () => jobOf(names.friend),
    (found) => found !== undefined,
  )) as Job<FriendActiveJob>;
  return { ...names, devices: { ada, bob }, client: friend, job };
}

async function jobOf(userId: string): Promise<Job<FriendActiveJob> | undefined> {
  const jobs = await stores.queues.queue('notifications').getJobs(['delayed']);
  return jobs.find((job) => job.data.userId === userId);
}

const hears = ({ alerts }: Listener, times: number) =>
  eventually(
    () => alerts.length,
    (count) => count >= times,
  );

test('the waiting job says whom it is about, and is one however often the change is recorded', async () => {
  const { friend, job } = await came();
  const at = Date.parse(job.data.at);
  expect(job.data).toEqual({ userId: friend, version: at, at: expect.stringMatching(/Z$/) });
  expect(job.opts).toMatchObject({ delay: 600_000, attempts: 10 });
  const change = {
    userId: friend,
    status: 'active' as const,
    lastSeen: at,
    version: at,
    at,
    cause: 'connect' as const,
  };
  await scheduleAlerts(stores, config, [{ ...change, awaySince: null }]);
  const jobs = await stores.queues.queue('notifications').getJobs(['delayed']);
  expect(jobs.filter(({ data }) => data.userId === friend)).toHaveLength(1);
});

test('a job that runs again after it was done tells nobody a second time, cool-down or not', async () => {
  const { devices, job, client, ...names } = await came();
  expect(await runFriendActive(stores, config, job)).toEqual({ connected: 2, pushes: 0 });
  const again = { ...job.data };
  delete again.telling;
  delete again.after;
  await job.updateData(again);
  expect(await runFriendActive(stores, config, job)).toEqual({ connected: 0, pushes: 0 });
  await hears(devices.ada, 1);
  await hears(devices.bob, 1);
  expect(await alertOf(rollcall.db, names.ada, names.friend)).toBe('never');
  client.leave();
});

test('where a worker died after the claim, the next one tells those it noted, and nobody else twice', async () => {
  const { devices, job, ada, bob, friend, client } = await came();
  // The page was noted and claimed, and then the worker died: ada's `once` is used up and nobody was told.
  await job.updateData({ ...job.data, after: bob, telling: [ada, bob] });
  await rollcall.db('friendships').where({ user_id: ada, friend_id: friend }).update({
    alert: 'never',
    alerted_at: job.data.at,
  });
  expect(await runFriendActive(stores, config, job)).toEqual({ connected: 2, pushes: 0 });
  await hears(devices.ada, 1);
  await hears(devices.bob, 1);
  expect(devices.ada.alerts).toEqual([{ userId: friend, at: job.data.at }]);
  client.leave();
});

test('whoever left and came back is another story: the old job tells nobody', async () => {
  const { devices, job, client, friend, bob } = await came();
  client.leave();
  await eventually(
    () => rollcall.db('users').where({ id: friend }).first(),
    (row) => row?.status === 'inactive',
  );
  expect(await runFriendActive(stores, config, job)).toEqual({ dropped: expect.any(String) });
  const back = await TestClient.connect(rollcall.url, friend);
  expect(await runFriendActive(stores, config, job)).toEqual({ dropped: expect.any(String) });
  expect(await alertOf(rollcall.db, bob, friend)).toBe('always');
  expect([...devices.ada.alerts, ...devices.bob.alerts]).toEqual([]);
  back.leave();
});

test('a change of what they show is no other activation', async () => {
  const { devices, job, client } = await came();
  expect(await client.socket.emitWithAck('set_detail', { text: 'hello' })).toMatchObject({ ok: true });
  expect(await runFriendActive(stores, config, job)).toEqual({ connected: 2, pushes: 0 });
  await hears(devices.ada, 1);
  client.leave();
});
