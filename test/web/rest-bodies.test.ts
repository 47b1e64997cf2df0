import { STATUS_CODES } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openWorld, service, type World } from './rest-world.ts';

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
});

const post = (url: string, payload: InjectOptions['payload'], headers = {}) =>
  world.ask('ada', {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    ...(payload === undefined ? {} : { payload }),
  });

describe('bodies that make no sense are refused and harm nobody', () => {
  test.each([
    ['not JSON', '/users/status', '{"status":'],
    ['no object', '/users/status', '"active"'],
    ['a list', '/users/status', '[]'],
    ['null', '/users/status', 'null'],
    ['nothing', '/users/status', undefined],
    ['a status of the wrong type', '/users/status', { status: 1 }],
    ['an expiry of zero', '/users/status', { status: 'inactive', expiresInSeconds: 0 }],
    ['an expiry that is text', '/users/status', { status: 'inactive', expiresInSeconds: '60' }],
    ['an expiry without end', '/users/status', '{"status":"inactive","expiresInSeconds":1e999}'],
    ['an expiry above ten years', '/users/status', { status: 'inactive', expiresInSeconds: 315_360_001 }],
    ['no ids', '/users/status/query', {}],
    ['an empty list of ids', '/users/status/query', { userIds: [] }],
    ['a thousand and one ids', '/users/status/query', { userIds: Array(1001).fill('ada') }],
    ['a hundred thousand ids', '/users/status/query', { userIds: Array(100_000).fill(1) }],
    ['an id instead of a list', '/users/status/query', { userIds: 'ada' }],
    ['a list-like object', '/users/status/query', { userIds: { 0: 'ada', length: 1 } }],
    ['a bad session', '/users/logout', { sessionId: 'a b' }],
    ['a session of the wrong type', '/users/logout', { sessionId: {} }],
    ['a poisoned prototype', '/users/status', '{"status":"active","__proto__":{"admin":true}}'],
    ['a poisoned constructor', '/users/status', '{"status":"active","constructor":{"prototype":{"admin":true}}}'],
    ['deep nesting', '/users/status/query', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('%s', async (_what, url, payload) => {
    const answer = await post(url, payload);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ statusCode: 400, code: 'INVALID_REQUEST', error: 'Bad Request' });
    expect(answer.body.length).toBeLessThan(500);
    expect(world.people.asked).toEqual([]);
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

test.each([
  ['too long', ['a'.repeat(129)]],
  ['empty', ['']],
  ['with a space', ['ada', 'b b']],
  ['with a slash', ['a/b']],
  ['not ASCII', ['ädä']],
  ['with a line break', ['ada\n']],
  ['a number', [5]],
])('a user id that is %s is told from other mistakes', async (_what, userIds) => {
  const answer = await post('/users/status/query', { userIds });
  expect(answer.statusCode).toBe(400);
  expect(answer.json().code).toBe('INVALID_USER_ID');
  const status = await post('/users/status', { status: 'active', userId: userIds.at(-1) });
  expect(status.json().code).toBe('INVALID_USER_ID');
});

const filled = (body: string, bytes: number) => body + ' '.repeat(bytes - body.length);

test('a body of 256 KiB is read, one byte more is refused', async () => {
  const query = (bytes: number) => post('/users/status/query', filled('{"userIds":["ada"]}', bytes));
  expect((await query(256 * 1024)).statusCode).toBe(200);
  const answer = await query(256 * 1024 + 1);
  expect(answer.statusCode).toBe(413);
  expect(answer.json()).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', error: 'Payload Too Large' });
});

test('a status of 4 KiB is read, one byte more is refused', async () => {
  const status = (bytes: number) => post('/users/status', filled('{"status":"active"}', bytes));
  expect((await status(4096)).statusCode).toBe(200);
  const answer = await status(4097);
  expect(answer.statusCode).toBe(413);
  expect(answer.json()).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', error: 'Payload Too Large' });
});

test('nobody without a token gets a large body read', async () => {
  const answer = await world.ask(null, { method: 'POST', url: '/users/status', payload: { x: 'x'.repeat(300_000) } });
  expect(answer.statusCode).toBe(401);
});

test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'nonsense'])(
  'a body of type %s is not understood',
  async (type) => {
    const answer = await post('/users/status', 'status=active', { 'content-type': type });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().code).toBe('INVALID_REQUEST');
  },
);

test('an empty body counts as none, whatever its type says', async () => {
  expect((await post('/users/logout', undefined)).statusCode).toBe(204);
  const removal = { method: 'DELETE' as const, url: '/users/ada/sessions/phone' };
  const answer = await world.ask('ada', { ...removal, headers: { 'content-type': 'application/json' } });
  expect(answer.statusCode).toBe(204);
});

describe('ids at the limits go through every door', () => {
  const longest = 'A-z.9_@|+:~'.repeat(12).slice(0, 128);
  test.each([
    ['128 characters with colons', longest],
    ['digits only', '12345678901234567890'],
    ['named like a route', 'status'],
    ['named like a property', '__proto__'],
    ['dots', '...'],
    ['a single one', '~'],
  ])('%s', async (_what, id) => {
    world.people.add(id, 'active', [id]);
    // Every byte encoded, which makes it three times as long.
    const encoded = Buffer.from(id).toString('hex').replace(/../g, '%$&');
    const backend = await service('presence:write');
    const status = await world.ask(id, { url: `/users/${encoded}/status` });
    expect(status.json()).toMatchObject({ userId: id, status: 'active' });
    const sessions = await world.ask(id, { url: `/users/${encoded}/sessions` });
    expect(sessions.json()).toMatchObject({ sessions: [{ sessionId: id }] });
    const many = await world.ask(id, { method: 'POST', url: '/users/status/query', payload: { userIds: [id] } });
    expect(many.json()).toMatchObject({ users: [{ userId: id, status: 'active' }] });
    const set = await world.ask(backend, {
      method: 'POST',
      url: '/users/status',
      payload: { status: 'active', userId: id },
    });
    expect(set.json()).toMatchObject({ userId: id });
    const removal = await world.ask(id, { method: 'DELETE', url: `/users/${encoded}/sessions/${encoded}` });
    expect(removal.statusCode).toBe(204);
  });

  test('longer ones are refused as ids, however long they are', async () => {
    for (const id of ['a'.repeat(129), 'a'.repeat(5000), '%41'.repeat(4000), 'a%2Fb', '%00', '%F0%9F%98%80']) {
      const answer = await world.ask('ada', { url: `/users/${id}/status` });
      expect(answer.statusCode).toBe(400);
      expect(answer.json().code).toBe('INVALID_USER_ID');
    }
  });
});

test.each(['/users/%zz/status', '/users/%/status', '/users/%ff/status'])(
  'an address that cannot be decoded is a bad request: %s',
  async (url) => {
    const answer = await world.ask('ada', { url });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({
      statusCode: 400,
      code: 'INVALID_REQUEST',
      error: 'Bad Request',
      message: 'The address is not a valid one.',
    });
  },
);

test('what is not even HTTP, or has too much before its body, is answered in the same shape', async () => {
  const address = await world.app.listen({ port: 0, host: '127.0.0.1' });
  const refused: [sent: string, statusCode: number, code: string][] = [
    ['HELLO\r\n\r\n', 400, 'INVALID_REQUEST'],
    [`GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 413, 'PAYLOAD_TOO_LARGE'],
    [`GET /${'x'.repeat(40_000)} HTTP/1.1\r\n\r\n`, 413, 'PAYLOAD_TOO_LARGE'],
  ];
  for (const [sent, statusCode, code] of refused) {
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    socket.write(sent);
    const [head, body] = (await text(socket)).split('\r\n\r\n');
    expect(head).toContain(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}`);
    expect(JSON.parse(body ?? '')).toMatchObject({ statusCode, code, error: STATUS_CODES[statusCode] });
  }
});
