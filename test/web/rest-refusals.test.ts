import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RollcallError } from '../../src/errors.ts';
import { openWorld, service, sign, type World } from './rest-world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.app.close();
});
beforeEach(() => {
  world.people.failure = null;
  world.people.add('ada');
  world.people.add('bob', 'inactive');
});

const code = (answer: { json(): { code?: string } }) => answer.json().code;

interface Admission {
  name: string;
  request: InjectOptions;
  /** With something wrong in its shape. */
  misshapen: InjectOptions;
  /** Whether anybody may, or only ada and services. */
  open: boolean;
  right: 'read' | 'write';
  ok: number;
}

const doors: Admission[] = [
  {
    name: 'GET /users/:id/status',
    request: { method: 'GET', url: '/users/ada/status' },
    misshapen: { method: 'GET', url: '/users/ada/status?include=shoes' },
    open: true,
    right: 'read',
    ok: 200,
  },
  {
    name: 'GET /users/:id/status?include=why',
    request: { method: 'GET', url: '/users/ada/status?include=why' },
    misshapen: { method: 'GET', url: '/users/ada/status?include=why,' },
    open: false,
    right: 'read',
    ok: 200,
  },
  {
    name: 'POST /users/status',
    request: { method: 'POST', url: '/users/status', payload: { status: 'inactive', userId: 'ada' } },
    misshapen: { method: 'POST', url: '/users/status', payload: { status: 'away', userId: 'ada' } },
    open: false,
    right: 'write',
    ok: 200,
  },
  {
    name: 'POST /users/status/query',
    request: { method: 'POST', url: '/users/status/query', payload: { userIds: ['ada'] } },
    misshapen: { method: 'POST', url: '/users/status/query', payload: { userIds: [] } },
    open: true,
    right: 'read',
    ok: 200,
  },
  {
    name: 'POST /users/logout',
    request: { method: 'POST', url: '/users/logout', payload: { userId: 'ada' } },
    misshapen: { method: 'POST', url: '/users/logout', payload: { userId: 'ada', sessionId: 'a b' } },
    open: false,
    right: 'write',
    ok: 204,
  },
  {
    name: 'GET /users/:id/sessions',
    request: { method: 'GET', url: '/users/ada/sessions' },
    misshapen: { method: 'GET', url: '/users/a%20b/sessions' },
    open: false,
    right: 'read',
    ok: 200,
  },
  {
    name: 'DELETE /users/:id/sessions/:sessionId',
    request: { method: 'DELETE', url: '/users/ada/sessions/phone' },
    misshapen: { method: 'DELETE', url: '/users/ada/sessions/pho%2Fne' },
    open: false,
    right: 'write',
    ok: 204,
  },
];

describe.each(doors)('$name', ({ request, misshapen, open, right, ok }) => {
  test('asks for a token before it looks at anything else', async () => {
    const answer = await world.ask(null, misshapen);
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toEqual({
      statusCode: 401,
      code: 'UNAUTHENTICATED',
      error: 'Unauthorized',
      message: expect.any(String),
    });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test.each([
    ['garbage', async () => 'garbage'],
    ['signed by somebody else', () => sign({ sub: 'ada' }, '1h', 'another secret, long enough for HS256')],
    ['without a user', () => sign({})],
  ])('refuses a token that is %s', async (_kind, token) => {
    expect(code(await world.ask({ token: await token() }, request))).toBe('UNAUTHENTICATED');
  });

  test('says that a token has expired', async () => {
    const answer = await world.ask({ token: await sign({ sub: 'ada' }, Math.floor(Date.now() / 1000) - 60) }, request);
    expect(answer.statusCode).toBe(401);
    expect(code(answer)).toBe('TOKEN_EXPIRED');
  });

  test('never reads a token from the address', async () => {
    const { url } = request;
    const withToken = `${url}${String(url).includes('?') ? '&' : '?'}token=${await sign({ sub: 'ada' })}`;
    expect((await world.ask(null, { ...request, url: withToken })).statusCode).toBe(401);
  });

  test('checks the shape before the right', async () => {
    const answer = await world.ask('eve', misshapen);
    expect(answer.statusCode).toBe(400);
    expect(code(answer)).toMatch(/^INVALID_(REQUEST|USER_ID)$/);
  });

  test(open ? 'answers anybody' : 'answers the user and nobody else', async () => {
    expect((await world.ask('ada', request)).statusCode).toBe(ok);
    const answer = await world.ask('eve', request);
    expect(answer.statusCode).toBe(open ? ok : 403);
    if (!open) expect(code(answer)).toBe('FORBIDDEN');
  });

  test('answers services by their right', async () => {
    expect((await world.ask(await service('presence:write'), request)).statusCode).toBe(ok);
    const reader = await world.ask(await service('presence:read'), request);
    expect(reader.statusCode).toBe(right === 'read' ? ok : 403);
    expect(code(await world.ask(await service('presence:other'), request))).toBe('FORBIDDEN');
  });
});

test('an end user named like the scope of a service gets no more rights', async () => {
  const answer = await world.ask(
    { token: await sign({ sub: 'presence:write', scope: 'profile email' }) },
    doors[2]?.request ?? {},
  );
  expect(code(answer)).toBe('FORBIDDEN');
});

test('a service has to say whom it acts for', async () => {
  const backend = await service('presence:write');
  const answer = await world.ask(backend, { method: 'POST', url: '/users/status', payload: { status: 'active' } });
  expect(answer.statusCode).toBe(400);
  expect(code(answer)).toBe('INVALID_REQUEST');
  expect(code(await world.ask(backend, { method: 'POST', url: '/users/logout' }))).toBe('INVALID_REQUEST');
});

test('a token whose sub is no user id is refused as such', async () => {
  expect(code(await world.ask('a b', { url: '/users/ada/status' }))).toBe('INVALID_USER_ID');
});

test.each([null, 'ada'])('an unknown route is told from an unknown user, whoever asks (%s)', async (who) => {
  for (const url of ['/nothing', '/users/ada/shoes', '/admin/queues', '/admin/queues/api/queues', '/metrics']) {
    const answer = await world.ask(who, { url });
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toEqual({
      statusCode: 404,
      code: 'NOT_FOUND',
      error: 'Not Found',
      message: 'There is no such route.',
    });
  }
  expect((await world.ask(who, { method: 'PUT', url: '/users/ada/status' })).statusCode).toBe(404);
});

test('somebody nobody ever heard of is not found, and neither is their session', async () => {
  expect(code(await world.ask('ada', { url: '/users/nobody/status' }))).toBe('USER_NOT_FOUND');
  expect(code(await world.ask('nobody', { url: '/users/nobody/sessions' }))).toBe('USER_NOT_FOUND');
  expect(code(await world.ask('ada', { method: 'DELETE', url: '/users/ada/sessions/other' }))).toBe(
    'SESSION_NOT_FOUND',
  );
});

test('while the answer cannot be known, it says when to ask again', async () => {
  world.people.failure = new RollcallError('UNAVAILABLE', { retryAfterMs: 1500 });
  const answer = await world.ask('ada', { url: '/users/ada/status' });
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toBe('2');
  expect(code(answer)).toBe('UNAVAILABLE');
});

test('our own faults are logged, and nothing of them is told', async () => {
  world.people.failure = new Error('password=hunter2 at db.internal');
  const answer = await world.ask('ada', { url: '/users/ada/status' });
  expect(answer.statusCode).toBe(500);
  expect(answer.json()).toMatchObject({ statusCode: 500, code: 'INTERNAL_ERROR', error: 'Internal Server Error' });
  expect(answer.body).not.toContain('hunter2');
  expect(world.complaints.join()).toContain('a request failed');
});
