import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { changeSettings } from '../../src/postgres/social.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { tellPrivacy } from '../../src/usecases/privacy.ts';
import { isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/** A change of who may see somebody is told by what is true by then, which the next change may have made another. */
let rollcall: Deployment;
let host: string;
let count = 0;
/** Of a web that is slow to tell what it has written. */
let stores: Stores;

beforeAll(async () => {
  rollcall = await Deployment.start('overtaken privacy', { env: CALM });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
  const config = readConfig({ ...rollcall.env, LOG_LEVEL: 'fatal' });
  stores = openStores(config, createLogger(config, 'web'));
});
afterAll(async () => {
  await stores?.close();
  await rollcall?.stop();
});

const person = (name: string) => `${name}-${++count}`;

async function call(method: string, path: string, body?: object) {
  const answer = await rest(rollcall.url, method, path, { token: host, ...(body ? { body } : {}) });
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer.body;
}

/** Changes are told only after all of this was done. */
async function whileNothingIsTold(work: () => Promise<unknown>) {
  for (const worker of rollcall.workers) worker.kill('SIGSTOP');
  try {
    await work();
  } finally {
    for (const worker of rollcall.workers) worker.kill('SIGCONT');
  }
}

test('who is befriended no more and blocked in the same moment sees the user go', async () => {
  const [userId, friend] = [person('ann'), person('fay')];
  await call('PUT', `/users/${userId}/settings`, { visibility: 'friends' });
  await call('PUT', `/users/${userId}/friends/${friend}`);
  const ann = await TestClient.connect(rollcall.url, userId);
  const watcher = await TestClient.connect(rollcall.url, friend, { watch: [userId] });
  expect(watcher.ready?.users?.[0]).toMatchObject({ status: 'active' });
  await whileNothingIsTold(async () => {
    await call('DELETE', `/users/${userId}/friends/${friend}`);
    await call('PUT', `/users/${userId}/blocks/${friend}`);
  });
  await watcher.hears(userId, isInactive);
  for (const client of [ann, watcher]) client.leave();
});

test('who is blocked right after everybody lost sight sees the user go', async () => {
  const [userId, viewer] = [person('ann'), person('vic')];
  const ann = await TestClient.connect(rollcall.url, userId);
  const watcher = await TestClient.connect(rollcall.url, viewer, { watch: [userId] });
  expect(watcher.ready?.users?.[0]).toMatchObject({ status: 'active' });
  await whileNothingIsTold(async () => {
    await call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
    await call('PUT', `/users/${userId}/blocks/${viewer}`);
  });
  await watcher.hears(userId, isInactive);
  for (const client of [ann, watcher]) client.leave();
});

test('who is befriended no more, where friends may know the last seen of somebody nobody sees any more, sees the user go', async () => {
  const [userId, friend] = [person('ann'), person('fay')];
  await call('PUT', `/users/${userId}/settings`, { visibility: 'friends', lastSeenVisibility: 'friends' });
  await call('PUT', `/users/${userId}/friends/${friend}`);
  const ann = await TestClient.connect(rollcall.url, userId);
  const watcher = await TestClient.connect(rollcall.url, friend, { watch: [userId] });
  expect(watcher.ready?.users?.[0]).toMatchObject({ status: 'active' });
  await whileNothingIsTold(async () => {
    await call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
    await call('DELETE', `/users/${userId}/friends/${friend}`);
  });
  await watcher.hears(userId, isInactive);
  for (const client of [ann, watcher]) client.leave();
});

/** From now on what the user does themself is gathered for some seconds. */
const useBudgetUp = (userId: string) =>
  rollcall.redis.hset(rollcall.key(`user:sessions:${userId}`), 'm', `99|${Date.now()}|${Date.now() + 2000}`);

test('who goes or comes unseen while a change of sight is gathered is seen as they are in the end, and only by those who may', async () => {
  const [userId, viewer, blocked] = [person('ann'), person('vic'), person('mal')];
  await call('PUT', `/users/${userId}/blocks/${blocked}`);
  const ann = await TestClient.connect(rollcall.url, userId);
  const watcher = await TestClient.connect(rollcall.url, viewer, { watch: [userId] });
  const blind = await TestClient.connect(rollcall.url, blocked, { watch: [userId] });
  expect(watcher.ready?.users?.[0]).toMatchObject({ status: 'active' });
  await useBudgetUp(userId);
  await call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
  // The user goes, which is told to nobody.
  ann.leave();
  await eventually(
    () => rollcall.redis.hget(rollcall.key(`user:sessions:${userId}`), 'a'),
    (announced) => announced === '0',
  );
  await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === 'inactive',
  );
  expect(watcher.of(userId)).toEqual([]);
  await useBudgetUp(userId);
  await call('PUT', `/users/${userId}/settings`, { visibility: 'everyone' });
  expect(await rollcall.redis.hexists(rollcall.key(`user:sessions:${userId}`), 'n')).toBe(1);
  await watcher.hears(userId, isInactive);
  expect(blind.of(userId)).toEqual([]);
  for (const client of [watcher, blind]) client.leave();
});

/** Redis does not know who may see the user: it was away, or the record is from before an upgrade. */
const forgetWhoMaySee = (userId: string) => rollcall.redis.hdel(rollcall.key(`user:sessions:${userId}`), 'r');

/** Writes the setting as a web does. Returns how it tells Redis of it, and how somebody does who finds it in PostgreSQL. */
async function write(userId: string, visibility: 'everyone' | 'nobody') {
  const { untold } = await changeSettings(stores.db, userId, { visibility });
  const follow = async (news: Parameters<typeof tellPrivacy>[2]) => {
    await stores.queues.enqueue(await tellPrivacy(stores, userId, news));
  };
  return { tell: () => follow(untold.get(userId) ?? null), find: () => follow(null) };
}

test.each([
  ['who tells of it after it was found by somebody else', ['find', 'tell']],
  ['who finds it, and another change comes instead', ['find']],
] as const)('nobody goes on seeing a user who hides, whose change Redis hears of from %s', async (_, order) => {
  const [userId, viewer] = [person('ann'), person('vic')];
  const ann = await TestClient.connect(rollcall.url, userId);
  const watcher = await TestClient.connect(rollcall.url, viewer, { watch: [userId] });
  expect(watcher.ready?.users?.[0]).toMatchObject({ status: 'active' });
  await forgetWhoMaySee(userId);
  const change = await write(userId, 'nobody');
  for (const step of order) await change[step]();
  if (order.length === 1) await call('PUT', `/users/${userId}/blocks/${person('mal')}`);
  await watcher.hears(userId, isInactive);
  for (const client of [ann, watcher]) client.leave();
});
