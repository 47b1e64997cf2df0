import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

const operator = `Basic ${Buffer.from('admin:open sesame').toString('base64')}`;
let rollcall: Deployment;

beforeAll(async () => {
  rollcall = await Deployment.start('ids', { env: { ...CALM, ADMIN_PASSWORD: 'open sesame' } });
});
afterAll(() => rollcall?.stop());

const everySign = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@|+:~';
const IDS = [
  'x'.repeat(128),
  everySign,
  'urn:user:9:1',
  ':::',
  '0123456789',
  '0',
  '-1',
  '~|+@',
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'null',
  'undefined',
  'true',
  'posted',
  'everyone',
  'batch',
  'watch:ada',
  'own:ada',
  'user:status:ada',
];

interface Job {
  id: string;
  name: string;
  data: { userId: string; due: string };
}

async function waitingJobs(): Promise<Job[]> {
  const url = `${rollcall.url}/admin/queues/api/queues?activeQueue=timeouts&status=delayed&page=1&jobsPerPage=200`;
  const answer = (await (await fetch(url, { headers: { authorization: operator } })).json()) as {
    queues: { name: string; jobs: Job[] }[];
  };
  return answer.queues.find((queue) => queue.name === 'timeouts')?.jobs ?? [];
}

/** Through all that takes a user id, a device id or a session id. */
async function throughEveryDoor(userId: string, observer: TestClient): Promise<void> {
  const { url } = rollcall;
  const path = `/users/${encodeURIComponent(userId)}`;
  const token = await tokenFor(userId);
  const client = await TestClient.connect(url, userId, { deviceId: userId, watch: [userId] });
  expect(client.ready).toMatchObject({ userId, users: [{ userId, status: 'active' }] });
  await observer.hears(userId, isActive);
  expect(await client.beat('idle')).toMatchObject({ ok: true });
  await observer.hears(userId, (change) => change.detail?.idle === true);
  expect(await client.watch(userId)).toMatchObject({ ok: true, users: [{ userId, status: 'active' }] });
  expect(await rollcall.redis.get(rollcall.key(`user:status:${userId}`))).toBe('active');

  const status = await rest(url, 'GET', `${path}/status?include=devices,detail,why`, { token });
  expect(status.body).toMatchObject({ userId, status: 'active', devices: [{ kind: 'other', state: 'idle' }] });
  expect(status.body.why).toMatchObject({ rule: 'heartbeat', sessionId: client.sessionId });
  const asked = await rest(url, 'POST', '/users/status/query', {
    token,
    body: { userIds: [userId, 'nobody', userId] },
  });
  expect(asked.body.users.map((user: { userId: string }) => user.userId)).toEqual([userId, 'nobody', userId]);
  const sessions = await rest(url, 'GET', `${path}/sessions`, { token });
  expect(sessions.body.sessions).toMatchObject([{ sessionId: client.sessionId }]);
  const strange = await rest(url, 'DELETE', `${path}/sessions/${encodeURIComponent(userId)}`, { token });
  expect(strange.body).toMatchObject({ code: 'SESSION_NOT_FOUND' });

  const job = await eventually(
    async () => (await waitingJobs()).find(({ data }) => data.userId === userId),
    (found) => found !== undefined,
  );
  expect(job?.id).not.toContain(':');
  expect(job?.id).not.toMatch(/^\d+$/);

  const hide = await client.socket.emitWithAck('set_status', { status: 'inactive', userId });
  expect(hide).toMatchObject({ ok: true, userId, status: 'inactive' });
  await observer.hears(userId, isInactive);
  const show = await rest(url, 'POST', '/users/status', { token, body: { status: 'active', userId } });
  expect(show.body).toMatchObject({ userId, status: 'active' });
  await observer.hears(userId, isActive, { after: 3 });
  expect(await client.socket.emitWithAck('unwatch', { userIds: [userId] })).toEqual({ ok: true });
  const gone = await rest(url, 'DELETE', `${path}/sessions/${client.sessionId}`, { token });
  expect(gone.status).toBe(204);
  expect(await client.isClosed()).toMatchObject({ reason: 'logout' });
  await observer.hears(userId, isInactive, { after: 4 });
  const row = await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (found) => found?.status === 'inactive' && found.last_seen !== null,
  );
  expect(row.last_seen).toBeInstanceOf(Date);
  const all = await rest(url, 'POST', '/users/logout', { token, body: { userId } });
  expect(all.status).toBe(204);
}

describe.concurrent('an id may be', () => {
  test.each(IDS)('%s', async (userId) => {
    const observer = await TestClient.connect(rollcall.url, `of~${userId}`.slice(0, 128), { watch: [userId] });
    await throughEveryDoor(userId, observer);
    // The second of them says that they are idle.
    expect(observer.statuses(userId)).toEqual(['active', 'active', 'inactive', 'active', 'inactive']);
    expect(new Set(observer.heard.map((change) => change.userId))).toEqual(new Set([userId]));
    observer.leave();
  });

  test('that of a socket of somebody else, who hears nothing of it', async () => {
    const other = await TestClient.connect(rollcall.url, 'other', { watch: [] });
    const everyone = await TestClient.connect(rollcall.url, 'listening');
    const userId = other.socket.id ?? '';
    await throughEveryDoor(userId, everyone);
    await other.beat();
    expect(other.heard).toEqual([]);
    expect(other.closed).toEqual([]);
    for (const client of [other, everyone]) client.leave();
  });

  test('that of a session of somebody else, who is not signed out by it', async () => {
    const other = await TestClient.connect(rollcall.url, 'other-2', { deviceId: 'phone', watch: [] });
    const observer = await TestClient.connect(rollcall.url, 'observer-2', { watch: [other.sessionId] });
    await throughEveryDoor(other.sessionId, observer);
    expect(await other.beat()).toMatchObject({ ok: true });
    for (const client of [other, observer]) client.leave();
  });
});

test('users whose ids differ in a sign that a key or a job id could swallow are told apart', async () => {
  const pairs = ['a:b', 'a!b'.replace('!', '|'), 'a~b', 'A:b', 'a:b:', ':a:b', 'a:b@0', 'a+b', 'a-b', 'a_b'];
  const observer = await TestClient.connect(rollcall.url, 'apart', { watch: pairs });
  const clients = await Promise.all(pairs.map((userId) => TestClient.connect(rollcall.url, userId, { deviceId: 'd' })));
  expect(new Set(clients.map((client) => client.sessionId)).size).toBe(pairs.length);
  for (const userId of pairs) await observer.hears(userId, isActive);
  clients[0]?.leave();
  await observer.hears('a:b', isInactive);
  const { body } = await rest(rollcall.url, 'POST', '/users/status/query', {
    token: await tokenFor('apart'),
    body: { userIds: pairs },
  });
  expect(body.users.map(isActive)).toEqual(pairs.map((userId) => userId !== 'a:b'));
  for (const client of [observer, ...clients]) client.leave();
});

/** Dots that a client of the web's own kind would take for a folder. */
test.each(['.', '..'])('the id %s can be asked for by a client that does not tidy addresses', async (userId) => {
  const client = await TestClient.connect(rollcall.url, userId, { deviceId: userId });
  const { hostname, port } = new URL(rollcall.url);
  const path = `/users/${userId.replaceAll('.', '%2e')}/status`;
  const headers = { authorization: `Bearer ${await tokenFor('reader')}` };
  const body = await new Promise<string>((resolve, reject) => {
    const asking = httpRequest({ hostname, port, path, headers }, (answer) => resolve(text(answer)));
    asking.on('error', reject).end();
  });
  expect(JSON.parse(body)).toMatchObject({ userId, status: 'active' });
  client.leave();
});
