import { afterAll, beforeAll, expect, test } from 'vitest';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let rollcall: Deployment;
let here: string;
let there: string;

beforeAll(async () => {
  rollcall = await Deployment.start('sessions', { webs: 2, env: CALM });
  here = rollcall.web(0).url;
  there = rollcall.web(1).url;
});
afterAll(() => rollcall?.stop());

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

async function sessionsOf(userId: string) {
  const { body } = await rest(here, 'GET', `/users/${userId}/sessions`, { token: await tokenFor(userId) });
  return body.sessions;
}

const redisKeys = (userId: string) =>
  rollcall.redis.mget(rollcall.key(`user:status:${userId}`), rollcall.key(`user:last_seen:${userId}`));
const row = (userId: string) => rollcall.db('users').where({ id: userId }).first();

test('a device keeps its session for good: coming back on either web replaces the old connection and nobody is told', async () => {
  const watcher = await TestClient.connect(there, 'watcher-1', { watch: ['ada'] });
  const first = await TestClient.connect(here, 'ada', { deviceId: 'phone' });
  const second = await TestClient.connect(here, 'ada', { deviceId: 'phone' });
  expect(await first.isClosed()).toEqual({ reason: 'replaced', reconnect: false });
  expect(await first.isDisconnected()).toBe('io server disconnect');
  const third = await TestClient.connect(there, 'ada', { deviceId: 'phone' });
  expect(await second.isClosed()).toEqual({ reason: 'replaced', reconnect: false });
  expect([second.sessionId, third.sessionId]).toEqual([first.sessionId, first.sessionId]);
  expect(await sessionsOf('ada')).toHaveLength(1);
  third.leave();
  await watcher.hears('ada', isInactive);
  expect(watcher.statuses('ada')).toEqual(['active', 'inactive']);
  const back = await TestClient.connect(here, 'ada', { deviceId: 'phone' });
  expect(back.sessionId).toBe(first.sessionId);
  const tablet = await TestClient.connect(here, 'ada', { deviceId: 'tablet' });
  const other = await TestClient.connect(here, 'bob', { deviceId: 'phone' });
  expect(new Set([back.sessionId, tablet.sessionId, other.sessionId]).size).toBe(3);
  for (const client of [watcher, back, tablet, other]) client.leave();
});

test('a user sees the own devices, and a service sees them too', async () => {
  const device = { kind: 'mobile', name: 'Zoë’s | phone' };
  const phone = await TestClient.connect(here, 'zoe', { deviceId: 'phone', device });
  const tab = await TestClient.connect(there, 'zoe');
  await tab.beat('idle');
  const shown = await sessionsOf('zoe');
  expect(shown).toHaveLength(2);
  expect(shown).toEqual(
    expect.arrayContaining([
      {
        sessionId: phone.sessionId,
        device: { kind: 'mobile', name: 'Zoë’s | phone' },
        connectedAt: expect.stringMatching(ISO),
        lastHeartbeat: expect.stringMatching(ISO),
        state: 'active',
      },
      {
        sessionId: tab.sessionId,
        device: { kind: 'other', name: null },
        connectedAt: expect.stringMatching(ISO),
        lastHeartbeat: expect.stringMatching(ISO),
        state: 'idle',
      },
    ]),
  );
  const token = await tokenFor('service', { scope: 'presence:read' });
  expect((await rest(there, 'GET', '/users/zoe/sessions', { token })).body.sessions).toEqual(await sessionsOf('zoe'));
  for (const client of [phone, tab]) client.leave();
});

test('a user is idle when every device is: the best one comes first, whichever web it is on', async () => {
  const phone = await TestClient.connect(rollcall.web(0).url, 'idler', {
    deviceId: 'phone',
    device: { kind: 'mobile' },
  });
  const laptop = await TestClient.connect(rollcall.web(1).url, 'idler', {
    deviceId: 'laptop',
    device: { kind: 'desktop' },
  });
  const token = await tokenFor('somebody');
  const devices = async () =>
    (await rest(rollcall.url, 'GET', '/users/idler/status?include=devices', { token })).body.devices;
  expect(await laptop.beat('idle')).toMatchObject({ ok: true });
  expect(await devices()).toEqual([
    { kind: 'mobile', state: 'active' },
    { kind: 'desktop', state: 'idle' },
  ]);
  expect(await phone.beat('idle')).toMatchObject({ ok: true });
  expect((await devices())[0]).toMatchObject({ state: 'idle' });
  expect(await laptop.beat('active')).toMatchObject({ ok: true });
  expect(await devices()).toEqual([
    { kind: 'desktop', state: 'active' },
    { kind: 'mobile', state: 'idle' },
  ]);
  phone.leave();
  laptop.leave();
});

test('removing a session signs that device out, wherever it is connected, and no other', async () => {
  const watcher = await TestClient.connect(here, 'watcher-2', { watch: ['kim'] });
  const phone = await TestClient.connect(here, 'kim', { deviceId: 'phone' });
  const laptop = await TestClient.connect(there, 'kim', { deviceId: 'laptop' });
  const token = await tokenFor('kim');
  const remove = (sessionId: string) => rest(here, 'DELETE', `/users/kim/sessions/${sessionId}`, { token });
  expect((await remove(laptop.sessionId)).status).toBe(204);
  expect(await laptop.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  expect((await remove(laptop.sessionId)).body).toMatchObject({ statusCode: 404, code: 'SESSION_NOT_FOUND' });
  expect((await remove('never-was')).body).toMatchObject({ statusCode: 404, code: 'SESSION_NOT_FOUND' });
  expect((await sessionsOf('kim')).map((session: { sessionId: string }) => session.sessionId)).toEqual([
    phone.sessionId,
  ]);
  expect(await phone.beat()).toMatchObject({ ok: true });
  expect((await remove(phone.sessionId)).status).toBe(204);
  expect(await phone.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  await watcher.hears('kim', isInactive);
  expect(watcher.statuses('kim')).toEqual(['active', 'inactive']);
  expect(await sessionsOf('kim')).toEqual([]);
  watcher.leave();
});

test('signing out on one device leaves the others be; signing out everywhere ends all, on every web', async () => {
  const watcher = await TestClient.connect(here, 'watcher-3', { watch: ['lee'] });
  const clients = await Promise.all([here, there, here, there].map((url) => TestClient.connect(url, 'lee')));
  const [first, second, third, fourth] = clients as [TestClient, TestClient, TestClient, TestClient];
  expect(await first.socket.emitWithAck('logout', undefined)).toEqual({ ok: true });
  expect(await first.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  const token = await tokenFor('lee');
  const body = { sessionId: second.sessionId };
  expect((await rest(here, 'POST', '/users/logout', { token, body })).status).toBe(204);
  expect(await second.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  expect(await third.beat()).toMatchObject({ ok: true });
  expect(await fourth.beat()).toMatchObject({ ok: true });
  expect(await third.socket.emitWithAck('logout', { everywhere: true })).toEqual({ ok: true });
  for (const client of [third, fourth]) expect(await client.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  await watcher.hears('lee', isInactive);
  expect(watcher.statuses('lee')).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('a logout clears the cache, keeps the last seen in PostgreSQL, and is not undone by what comes late', async () => {
  const watcher = await TestClient.connect(here, 'watcher-4', { watch: ['moe'] });
  const moe = await TestClient.connect(here, 'moe');
  await watcher.hears('moe', isActive);
  const token = await tokenFor('moe');
  const before = Date.now();
  // Neither a body nor its type need be sent.
  expect((await rest(there, 'POST', '/users/logout', { token })).status).toBe(204);
  expect((await redisKeys('moe'))[0]).toBeNull();
  void moe.beat().catch(() => {});
  expect(await moe.isClosed()).toEqual({ reason: 'logout', reconnect: false });
  const gone = await watcher.hears('moe', isInactive);
  const kept = await eventually(
    () => row('moe'),
    (found) => found?.status === 'inactive',
    2000,
  );
  expect(kept.last_seen.toISOString()).toBe(gone.lastSeen);
  expect(Math.abs(kept.last_seen.getTime() - before)).toBeLessThan(2000);
  await eventually(
    () => redisKeys('moe'),
    (keys) => keys.every((value) => value === null),
    2000,
  );
  // Looking at somebody who is gone does not bring the traces back.
  const looks = ['/users/moe/status?include=why,devices', '/users/moe/sessions'];
  const [looked, sessions] = await Promise.all(looks.map((path) => rest(here, 'GET', path, { token })));
  expect(looked?.body).toMatchObject({ status: 'inactive', lastSeen: gone.lastSeen, devices: [] });
  expect(looked?.body.why).toMatchObject({ rule: 'logout', nextChangeAt: null });
  expect(sessions?.body).toEqual({ sessions: [] });
  expect(await redisKeys('moe')).toEqual([null, null]);
  expect(watcher.statuses('moe')).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('a logout ends appearing inactive, also for somebody who is not there', async () => {
  const watcher = await TestClient.connect(here, 'watcher-5', { watch: ['nia'] });
  const token = await tokenFor('nia');
  const hide = () => rest(here, 'POST', '/users/status', { token, body: { status: 'inactive' } });
  const nia = await TestClient.connect(here, 'nia', { deviceId: 'phone' });
  await hide();
  await watcher.hears('nia', isInactive);
  await nia.socket.emitWithAck('logout', undefined);
  await nia.isClosed();
  const back = await TestClient.connect(there, 'nia', { deviceId: 'phone' });
  await watcher.hears('nia', isActive, { after: 2 });
  await hide();
  await watcher.hears('nia', isInactive, { after: 3 });
  back.leave();
  await eventually(
    () => sessionsOf('nia'),
    (sessions) => sessions.length === 0,
  );
  expect((await rest(there, 'POST', '/users/logout', { token, body: {} })).status).toBe(204);
  await eventually(
    () => row('nia'),
    (found) => found?.hidden === false,
  );
  const again = await TestClient.connect(here, 'nia', { deviceId: 'phone' });
  await watcher.hears('nia', isActive, { after: 4 });
  for (const client of [watcher, again]) client.leave();
});

test('who was never heard of has no sessions to show or to end', async () => {
  const token = await tokenFor('service', { scope: 'presence:write' });
  const answers = await Promise.all([
    rest(here, 'GET', '/users/nobody/sessions', { token }),
    rest(here, 'POST', '/users/logout', { token, body: { userId: 'nobody' } }),
    rest(here, 'GET', '/users/nobody/status', { token }),
    rest(here, 'GET', '/users/nobody/status?include=devices,detail,why', { token }),
  ]);
  for (const { body } of answers) expect(body).toMatchObject({ statusCode: 404, code: 'USER_NOT_FOUND' });
  const one = await rest(here, 'POST', '/users/logout', { token, body: { userId: 'nobody', sessionId: 'x' } });
  expect(one.body).toMatchObject({ statusCode: 404, code: 'SESSION_NOT_FOUND' });
});
