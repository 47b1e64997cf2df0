import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publish } from '../../src/redis/delivery.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { EventReader } from '../support/event-reader.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

let rollcall: Deployment;
const read = async (userId: string, watch: string[], lastEventId?: string, claims = {}) =>
  EventReader.open(rollcall.url, await tokenFor(userId, claims), watch, lastEventId);

beforeAll(async () => {
  rollcall = await Deployment.start('event streams', { env: { ...CALM, ...LOCK, MAX_WATCHED_USERS: '5' } });
});
afterAll(() => rollcall?.stop());

test('a reader begins with a picture of those it asked for and hears of them alone, as a socket does, and is not active by that', async () => {
  const ada = await TestClient.connect(rollcall.url, 'ada');
  const watch = ['ada', 'bob', 'never'];
  const reader = await read('viewer', watch);
  const socket = await TestClient.connect(rollcall.url, 'beside', { watch });
  const { headers } = reader.response;
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect([headers.get('cache-control'), headers.get('x-accel-buffering')]).toEqual(['no-store', 'no']);
  const first = await reader.hears('snapshot');
  expect(reader.events[0]).toBe(first);
  expect(first.data).toEqual({ users: socket.ready?.users });
  expect(first.data.users.map(({ status }: { status: string }) => status)).toEqual(['active', 'inactive', 'inactive']);

  const bob = await TestClient.connect(rollcall.url, 'bob');
  const stranger = await TestClient.connect(rollcall.url, 'stranger');
  await reader.hears('user_status_change', (data) => data.userId === 'bob' && isActive(data));
  await bob.socket.emitWithAck('set_detail', { text: 'at lunch' });
  await reader.hears('user_status_change', (data) => data.detail?.text === 'at lunch');
  stranger.leave();
  ada.leave();
  bob.leave();
  await reader.hears('user_status_change', (data) => data.userId === 'bob' && isInactive(data));
  await reader.hears('user_status_change', (data) => data.userId === 'ada' && isInactive(data));
  await socket.hears('bob', isInactive);
  await socket.hears('ada', isInactive);
  for (const userId of watch) {
    const told = reader.events.map(({ data }) => data).filter((data) => data.userId === userId);
    expect(told).toEqual(socket.of(userId).map(({ heardAt, ...change }) => change));
  }
  expect(reader.text).not.toContain('stranger');
  const token = await tokenFor('host', { scope: 'presence:read' });
  expect((await rest(rollcall.url, 'GET', '/users/viewer/status', { token })).status).toBe(404);
  reader.leave();
  socket.leave();
});

test('a reader sees what it may see: of who hides it hears what a stranger would, and the truth when that ends', async () => {
  const shy = await TestClient.connect(rollcall.url, 'shy');
  const reader = await read('onlooker', ['shy']);
  const service = await read('host', ['shy'], undefined, { scope: 'presence:read' });
  const token = await tokenFor('shy');
  const set = (visibility: string) => rest(rollcall.url, 'PUT', '/users/shy/settings', { token, body: { visibility } });
  await set('nobody');
  const gone = await reader.hears('user_status_change', isInactive);
  expect(gone.data).toMatchObject({ lastSeen: null });
  const later = await read('onlooker', ['shy']);
  expect((await later.hears('snapshot')).data.users).toEqual([
    { userId: 'shy', status: 'inactive', lastSeen: null, version: 0 },
  ]);
  await set('everyone');
  await reader.hears('user_status_change', isActive);
  await later.hears('user_status_change', isActive);
  shy.leave();
  await service.hears('user_status_change', isInactive);
  expect(service.statuses('shy')).toEqual(['inactive']);
  for (const one of [reader, later, service]) one.leave();
});

test('a reader that comes back hears what it missed and nothing else, or is told to begin anew', async () => {
  const watch = ['came', 'left', 'stayed'];
  const left = await TestClient.connect(rollcall.url, 'left');
  const stayed = await TestClient.connect(rollcall.url, 'stayed');
  const reader = await read('traveller', watch);
  await reader.hears('snapshot');
  const mark = await TestClient.connect(rollcall.url, 'came');
  await reader.hears('user_status_change', isActive);
  mark.leave();
  // The id of an event is the place before it, so what came last may come again.
  const { id } = await reader.hears('user_status_change', isInactive);
  reader.leave();
  expect(id).toMatch(/^\d+-\d+-\d+-[0-9a-f]{12}$/);

  left.leave();
  const token = await tokenFor('host', { scope: 'presence:read' });
  await eventually(
    () => rest(rollcall.url, 'GET', '/users/left/status', { token }),
    ({ body }) => body.status === 'inactive',
  );
  const other = await read('host', watch, undefined, { scope: 'presence:read' });
  await other.hears('snapshot', ({ users }) => users[1].status === 'inactive');
  const back = await read('traveller', watch, id);
  await back.hears('user_status_change', (data) => data.userId === 'left' && isInactive(data));
  const again = await TestClient.connect(rollcall.url, 'came');
  await back.hears('user_status_change', (data) => data.userId === 'came' && isActive(data));
  expect(back.events.map(({ event }) => event)).not.toContain('snapshot');
  expect(back.statuses('stayed')).toEqual([]);
  expect(back.statuses('left')).toEqual(['inactive']);
  expect(back.statuses('came')).toEqual(['inactive', 'active']);

  for (const [userId, users, place] of [
    ['traveller', ['came', 'left'], id],
    ['somebody', watch, id],
    ['traveller', watch, 'garbled'],
    ['traveller', watch, String(id).replace(/^\d+/, '999')],
  ] as const) {
    const anew = await read(userId, [...users], place);
    expect((await anew.hears('snapshot')).data).toMatchObject({
      reset: true,
      users: users.map((one) => ({ userId: one })),
    });
    anew.leave();
  }
  for (const one of [stayed, again]) one.leave();
  for (const one of [back, other]) one.leave();
});

test('a reader that comes back learns no more of who hides from it than of who never came', async () => {
  const here = await TestClient.connect(rollcall.url, 'plain');
  const token = await tokenFor('host', { scope: 'presence:write' });
  for (const userId of ['shade', 'ghost']) {
    const body = { visibility: 'nobody' };
    await rest(rollcall.url, 'PUT', `/users/${userId}/settings`, { token, body });
  }
  const ids: Record<string, string | undefined> = {};
  for (const userId of ['shade', 'ghost']) {
    const reader = await read('peeper', [userId, 'plain']);
    ids[userId] = (await reader.hears('snapshot')).id;
    reader.leave();
  }
  const service = await read('host', ['shade'], undefined, { scope: 'presence:read' });
  await service.hears('snapshot');
  const shade = await TestClient.connect(rollcall.url, 'shade');
  await service.hears('user_status_change', isActive);
  shade.leave();
  await service.hears('user_status_change', isInactive);
  const shown: string[] = [];
  for (const userId of ['shade', 'ghost']) {
    const back = await read('peeper', [userId, 'plain'], ids[userId]);
    // Whoever watches them hears of this one next, so that all before it has been told.
    const mark = await TestClient.connect(rollcall.url, 'plain', { deviceId: userId });
    await mark.socket.emitWithAck('set_detail', { text: userId });
    await back.hears('user_status_change', ({ detail }) => detail?.text === userId);
    expect(back.events.map(({ data }) => data.userId)).not.toContain(userId);
    const [first] = back.events;
    const picture: { userId: string }[] = first?.data.users ?? [];
    shown.push(JSON.stringify([first?.event, first?.data.reset, picture.find((user) => user.userId === userId)]));
    back.leave();
    mark.leave();
  }
  // Of `plain`, whose last seen may have grown meanwhile, the picture is no part.
  expect(shown[0]?.replace('shade', 'ghost')).toBe(shown[1]);
  service.leave();
  here.leave();
});

test('a reader is told in days of who lets others know the last seen coarsely, and anew when it comes back', async () => {
  const vague = await TestClient.connect(rollcall.url, 'vague');
  const token = await tokenFor('vague');
  await rest(rollcall.url, 'PUT', '/users/vague/settings', { token, body: { lastSeenPrecision: 'coarse' } });
  const reader = await read('onlooker', ['vague']);
  const service = await read('host', ['vague'], undefined, { scope: 'presence:read' });
  await service.hears('snapshot');
  const first = await reader.hears('snapshot');
  expect(first.data.users).toEqual([{ userId: 'vague', status: 'active', lastSeen: null, version: 0 }]);
  vague.leave();
  const { data, id } = await reader.hears('user_status_change', isInactive);
  expect(data).toEqual({
    userId: 'vague',
    status: 'inactive',
    lastSeen: null,
    lastSeenWithin: 'day',
    version: expect.any(Number),
  });
  const exact = await service.hears('user_status_change', isInactive);
  expect(exact.data).toMatchObject({ lastSeen: expect.any(String), cause: 'disconnect' });
  expect(exact.data).not.toHaveProperty('lastSeenWithin');
  // No moment can be read from it.
  expect(data.version).toBeLessThan(1_000_000);
  reader.leave();
  const again = await TestClient.connect(rollcall.url, 'vague');
  await service.hears('user_status_change', isActive);
  const back = await read('onlooker', ['vague'], id);
  const { data: anew } = await back.hears('snapshot');
  expect(anew).toEqual({ users: [{ userId: 'vague', status: 'active', lastSeen: null, version: 0 }], reset: true });
  again.leave();
  const last = await back.hears('user_status_change', isInactive);
  expect(last.data.version).toBeGreaterThan(0);
  back.leave();
  service.leave();
});

test('a reader needs a token, and someone to watch, and no more than it may', async () => {
  const ask = async (query: string, token?: string) => {
    const { status, body } = await rest(rollcall.url, 'GET', `/events${query}`, token ? { token } : {});
    return [status, body.code];
  };
  const token = await tokenFor('asker');
  expect(await ask('?watch=ada')).toEqual([401, 'UNAUTHENTICATED']);
  expect(await ask('', token)).toEqual([400, 'INVALID_REQUEST']);
  expect(await ask('?watch=', token)).toEqual([400, 'INVALID_USER_ID']);
  expect(await ask('?watch=ada,b%20b', token)).toEqual([400, 'INVALID_USER_ID']);
  expect(await ask('?watch=a,b,c,d,e,f', token)).toEqual([400, 'TOO_MANY_WATCHED']);
  expect(await ask('?watch=ada', await tokenFor('host', { scope: 'presence:none' }))).toEqual([403, 'FORBIDDEN']);
  const head = await fetch(`${rollcall.url}/events?watch=ada`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${token}` },
  });
  expect(head.status).toBe(404);
});

test('a reader is told that its token ends, and that it has', async () => {
  const reader = await read('short', ['ada'], undefined, { expiresInSeconds: -3 });
  await reader.hears('token_expiring');
  const { data } = await reader.hears('session_closed');
  expect(data).toMatchObject({ reason: 'token_expired', reconnect: true, afterMs: reader.retry });
  await reader.ends();
});

test('a reader that does not read is cut off, and the others hear on', async () => {
  const { url, redis, prefix } = rollcall;
  const token = await tokenFor('sleepy');
  const { hostname, port } = new URL(url);
  const sleepy = connect(Number(port), hostname);
  const closed = new Promise((resolve) => sleepy.once('close', resolve));
  sleepy.on('error', () => {});
  sleepy.write(`GET /events?watch=puppet HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await once(sleepy, 'data');
  sleepy.pause();
  const reader = await read('awake', ['puppet']);
  await reader.hears('snapshot');
  // Far longer than a detail can be, so that few events fill what the kernel takes for a line.
  const detail = { text: 'x'.repeat(500_000) };
  for (let version = 1; version <= 30; version++) {
    const change = {
      userId: 'puppet',
      status: 'active',
      lastSeen: 1,
      version,
      at: 1,
      cause: 'connect',
      detail,
    } as const;
    await publish(redis, createKeys(prefix, false), {
      shard: 0,
      items: [{ id: `${Date.now()}-${version}`, kind: 'change', change }],
    });
    // Who reads is never behind, however busy the machine.
    await reader.hears('user_status_change', (data) => data.version === version);
  }
  await eventually(
    async () => (await samplesOf(url)).get('rollcall_slow_readers_closed_total'),
    (count) => count === 1,
  );
  sleepy.resume();
  await closed;
  reader.leave();
});
