import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openWorld, service, sign, type World } from './rest-world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.app.close();
});
beforeEach(() => {
  world.people.asked.length = 0;
  world.people.add('ada');
  world.people.add('bob', 'inactive');
});

const seen = '2026-01-31T12:00:00.000Z';

test('a status is exactly the three keys, and never cached', async () => {
  const answer = await world.ask('bob', { url: '/users/ada/status' });
  expect(answer.json()).toEqual({ userId: 'ada', status: 'active', lastSeen: seen });
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
});

test('include adds the keys it names and no others', async () => {
  const ask = async (include: string) =>
    (await world.ask('ada', { url: `/users/ada/status?include=${include}` })).json();
  const three = { userId: 'ada', status: 'active', lastSeen: seen };
  const devices = [{ kind: 'mobile', state: 'active' }];
  const why = { rule: 'heartbeat', sessionId: 'phone', since: seen, nextChangeAt: null, source: null };
  expect(await ask('devices')).toEqual({ ...three, devices });
  expect(await ask('detail')).toEqual({ ...three, detail: {} });
  expect(await ask('why,devices,devices')).toEqual({ ...three, devices, why });
  expect(await ask('devices,detail,why')).toEqual({ ...three, devices, detail: {}, why });
});

test('anybody may ask for devices, and sees none of somebody who is inactive', async () => {
  const answer = await world.ask('ada', { url: '/users/bob/status?include=devices' });
  expect(answer.json()).toEqual({ userId: 'bob', status: 'inactive', lastSeen: seen, devices: [] });
});

test('an include of unknown words, or of nothing, is refused', async () => {
  for (const include of ['shoes', 'devices,shoes', '', ',', 'devices,', 'Devices', 'devices&include=why']) {
    const answer = await world.ask('ada', { url: `/users/ada/status?include=${include}` });
    expect([include, answer.statusCode, answer.json().code]).toEqual([include, 400, 'INVALID_REQUEST']);
  }
});

test('many statuses come in the order asked, twice where asked twice', async () => {
  const userIds = ['nobody', 'bob', 'ada', 'bob'];
  const answer = await world.ask('eve', { method: 'POST', url: '/users/status/query', payload: { userIds } });
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual({
    users: [
      { userId: 'nobody', status: 'inactive', lastSeen: null },
      { userId: 'bob', status: 'inactive', lastSeen: seen },
      { userId: 'ada', status: 'active', lastSeen: seen },
      { userId: 'bob', status: 'inactive', lastSeen: seen },
    ],
  });
});

test('a user appears inactive for a while, with fractions, and brings name and picture', async () => {
  const token = await sign({ sub: 'ada', name: 'Ada', picture: 'https://example.com/ada.png' });
  const payload = { status: 'inactive', userId: 'ada', expiresInSeconds: 0.25 };
  const answer = await world.ask({ token }, { method: 'POST', url: '/users/status', payload });
  expect(answer.json()).toEqual({ userId: 'ada', status: 'inactive', lastSeen: seen });
  const claims = { name: 'Ada', picture: 'https://example.com/ada.png' };
  const choice = { status: 'inactive', expiresInMs: 250 };
  expect(world.people.asked).toEqual([{ userId: 'ada', choice, claims }]);
});

test('a service acts for a user without lending its own name', async () => {
  const token = await sign({ sub: 'backend', name: 'Backend', scope: 'email presence:write' });
  const payload = { status: 'active', userId: 'zoe', expiresInSeconds: 60 };
  await world.ask({ token }, { method: 'POST', url: '/users/status', payload });
  const choice = { status: 'active', expiresInMs: null };
  expect(world.people.asked).toEqual([{ userId: 'zoe', choice, claims: null }]);
});

test('logging out ends one session or all, and answers with nothing', async () => {
  const all = await world.ask('ada', { method: 'POST', url: '/users/logout' });
  expect([all.statusCode, all.body]).toEqual([204, '']);
  await world.ask('ada', { method: 'POST', url: '/users/logout', payload: { sessionId: 'phone', userId: 'ada' } });
  await world.ask(await service('presence:write'), {
    method: 'POST',
    url: '/users/logout',
    payload: { userId: 'bob' },
  });
  expect(world.people.asked).toEqual([
    { loggedOut: 'ada', sessionId: null },
    { loggedOut: 'ada', sessionId: 'phone' },
    { loggedOut: 'bob', sessionId: null },
  ]);
});

test('sessions are listed and removed', async () => {
  expect((await world.ask('ada', { url: '/users/ada/sessions' })).json()).toEqual({
    sessions: [
      {
        sessionId: 'phone',
        device: { kind: 'mobile', name: null },
        connectedAt: seen,
        lastHeartbeat: seen,
        state: 'active',
      },
    ],
  });
  const answer = await world.ask('ada', { method: 'DELETE', url: '/users/ada/sessions/phone' });
  expect([answer.statusCode, answer.body]).toEqual([204, '']);
});

test('a scheme in other letters is a bearer token all the same', async () => {
  const authorization = `bearer ${await sign({ sub: 'ada' })}`;
  expect((await world.ask(null, { url: '/users/ada/status', headers: { authorization } })).statusCode).toBe(200);
});

test('health is open and never cached', async () => {
  const alive = await world.ask(null, { url: '/healthz' });
  expect([alive.statusCode, alive.json()]).toEqual([200, { status: 'ok' }]);
  const ready = await world.ask(null, { url: '/readyz' });
  const state = { ready: true, redis: true, postgres: true, queue: true, draining: false, level: 0, reasons: {} };
  expect([ready.statusCode, ready.json()]).toEqual([200, state]);
  expect(ready.headers['cache-control']).toBe('no-store');
});

test.each([
  [200, { postgres: false, reasons: { postgres: 'Why it is so.' } }],
  [200, { queue: false, reasons: { queue: 'Why it is so.' } }],
  [503, { redis: false, ready: false, reasons: { redis: 'Why it is so.' } }],
  [503, { draining: true, ready: false }],
])('readiness is a %i with %o', async (statusCode, told) => {
  const state = {
    ready: true,
    redis: true,
    postgres: true,
    queue: true,
    draining: false,
    level: 0,
    reasons: {},
    ...told,
  };
  const { app } = await openWorld({}, { health: { read: async () => state } });
  const answer = await app.inject('/readyz');
  expect([answer.statusCode, answer.json()]).toEqual([statusCode, state]);
  await app.close();
});
