import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';

let rollcall: Deployment;
let ada: TestClient;
let watcher: TestClient;

beforeAll(async () => {
  rollcall = await Deployment.start('malformed', { env: CALM });
  watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['ada', 'bob'] });
  ada = await TestClient.connect(rollcall.url, 'ada', { deviceId: 'laptop' });
});
afterEach(async () => {
  const { status, body } = await rest(rollcall.url, 'GET', '/healthz');
  expect([status, body]).toEqual([200, { status: 'ok' }]);
});
afterAll(() => rollcall?.stop());

const INVALID = /^INVALID_(REQUEST|USER_ID)$/;
const refusal = { code: expect.stringMatching(INVALID), message: expect.any(String) };
const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
const polluted = (rest: string) => JSON.parse(`{"__proto__":{"status":"inactive","isAdmin":true}${rest}}`);
const rebuilt = (rest: string) => JSON.parse(`{"constructor":{"prototype":{"status":"inactive"}}${rest}}`);
const ids = (count: number) => Array.from({ length: count }, (_, n) => `user-${n}`);

/** What no event and no body is. */
const NEVER: [string, unknown][] = [
  ['a number', 7],
  ['a text', 'active'],
  ['yes', true],
  ['a list', [{ status: 'inactive' }]],
  ['a list of lists of lists', nested(1000)],
];

const EVENTS: Record<string, [string, unknown][]> = {
  heartbeat: [
    ['an unknown state', { state: 'asleep' }],
    ['a state that is a list', { state: ['idle'] }],
  ],
  watch: [
    ['nothing', undefined],
    ['null', null],
    ['a prototype instead of a list', polluted('')],
    ['no ids', { userIds: [] }],
    ['one id that is no list', { userIds: 'bob' }],
    ['an object for a list', { userIds: { 0: 'bob', length: 1 } }],
    ['too many ids', { userIds: ids(1001) }],
    ['a number among the ids', { userIds: ['bob', 7] }],
    ['an id that is a list', { userIds: [['bob']] }],
    ['an id that is too long', { userIds: ['b'.repeat(129)] }],
    ['an id of 200,000 characters', { userIds: ['b'.repeat(200_000)] }],
    ['an id with a zero byte', { userIds: ['bo\u0000b'] }],
  ],
  unwatch: [
    ['nothing', undefined],
    ['no ids', { userIds: [] }],
    ['too many ids', { userIds: ids(1001) }],
    ['an empty id', { userIds: [''] }],
  ],
  set_status: [
    ['nothing', undefined],
    ['null', null],
    ['a prototype that says the status', polluted('')],
    ['a constructor that says the status', rebuilt('')],
    ['an unknown status', { status: 'away' }],
    ['a status that is a list', { status: ['inactive'] }],
    ['a status of nested lists', { status: nested(1000) }],
    ['an end in the past', { status: 'inactive', expiresInSeconds: -1 }],
    ['no time at all', { status: 'inactive', expiresInSeconds: 0 }],
    ['a time that is a text', { status: 'inactive', expiresInSeconds: '60' }],
    ['a time without end', { status: 'inactive', expiresInSeconds: 1e300 }],
    ['a user that is none', { status: 'inactive', userId: { $ne: '' } }],
  ],
  logout: [
    ['an answer that is neither yes nor no', { everywhere: 'yes' }],
    ['an answer that is an object', { everywhere: {} }],
  ],
  authenticate: [
    ['nothing', undefined],
    ['a token in a prototype', JSON.parse('{"__proto__":{"token":"x"}}')],
    ['a token that is a number', { token: 7 }],
    ['an empty token', { token: '' }],
    ['a token that is an object', { token: { alg: 'none' } }],
  ],
};

describe.each(Object.entries(EVENTS))('the event %s', (event, wrong) => {
  test.each([...NEVER, ['bytes', Buffer.from('inactive')], ...wrong] as typeof wrong)(
    'refuses %s with a reason, and goes on',
    async (_what, payload) => {
      const socket = ada.socket as unknown as { emitWithAck(event: string, ...sent: unknown[]): Promise<unknown> };
      expect(await socket.emitWithAck(event, payload)).toEqual({ ok: false, error: refusal });
    },
  );

  test('needs no acknowledgement, and bears more than it asked for', async () => {
    const socket = ada.socket as unknown as {
      emit(event: string, ...sent: unknown[]): void;
      emitWithAck(event: string, ...sent: unknown[]): Promise<unknown>;
    };
    const [first] = wrong;
    socket.emit(event, first?.[1]);
    socket.emit(event, 7, 8, 9);
    socket.emit(event, [], () => 'an acknowledgement');
    expect(await socket.emitWithAck(event, 7, { status: 'inactive' }, nested(50))).toEqual({
      ok: false,
      error: refusal,
    });
    expect(await ada.beat()).toMatchObject({ ok: true });
  });
});

describe('an event', () => {
  test('with all it needs and a key that is special to JavaScript is refused, like with any other too many', async () => {
    const beat = (odd: object) => ada.socket.emitWithAck('heartbeat', odd);
    for (const odd of [{ hasOwnProperty: 1 }, { toString: null }, rebuilt(''), polluted(',"state":"active"')]) {
      expect(await beat(odd)).toEqual({ ok: false, error: refusal });
    }
    const watch = { ...rebuilt(''), userIds: ['bob'] };
    expect(await ada.socket.emitWithAck('watch', watch)).toEqual({ ok: false, error: refusal });
  });

  const UNKNOWN = ['__proto__', 'constructor', 'toString', 'ready', 'session_closed', 'no such thing', ''];

  test('that nobody knows, or whose name is special, is passed over where no answer is waited for', async () => {
    const socket = ada.socket as unknown as { emit(event: string, ...sent: unknown[]): void };
    for (const name of UNKNOWN) socket.emit(name, { status: 'inactive' });
    expect(await ada.beat()).toMatchObject({ ok: true });
  });

  test.each([...UNKNOWN, 'x'.repeat(100_000)])(
    'that nobody knows is refused where an answer is waited for: %.20s',
    async (name) => {
      const socket = ada.socket as unknown as { emitWithAck(event: string, ...sent: unknown[]): Promise<unknown> };
      const answer = (await socket.emitWithAck(name, { status: 'inactive' })) as { error: { message: string } };
      expect(answer).toEqual({ ok: false, error: { code: 'INVALID_REQUEST', message: expect.any(String) } });
      expect(answer.error.message).toContain(JSON.stringify(name.slice(0, 40)));
      expect(answer.error.message.length).toBeLessThan(500);
    },
  );

  test('with a name that is nearly right is refused with the name that was meant', async () => {
    const socket = ada.socket as unknown as { emitWithAck(event: string): Promise<unknown> };
    for (const [written, meant] of Object.entries({
      setStatus: 'set_status',
      heartbeet: 'heartbeat',
      join: 'join_conversation',
    })) {
      const message = expect.stringMatching(`"${written}".*"${meant}"`);
      expect(await socket.emitWithAck(written)).toMatchObject({ ok: false, error: { message } });
    }
  });

  test('of 300 KiB ends the connection of its sender and of nobody else', async () => {
    for (const transports of [['websocket'], ['polling']]) {
      const token = await tokenFor('loud');
      const loud = await new TestClient(rollcall.url, { token }, { transports }).welcomed();
      loud.socket.emit('set_status', { status: 'x'.repeat(300 * 1024) as 'active' }, () => {});
      await loud.isDisconnected();
    }
    expect(await ada.beat()).toMatchObject({ ok: true });
  });

  test('that is no packet at all ends the connection of its sender and of nobody else', async () => {
    for (const packet of [
      '42{"no":"list"}',
      '42[]',
      '42["heartbeat"',
      '451-["x",{"_placeholder":true,"num":9}]',
      '9',
      '40null',
    ]) {
      const odd = await TestClient.connect(rollcall.url, 'odd');
      odd.socket.io.engine.write(packet);
      await Promise.race([odd.isDisconnected(), odd.beat().catch(() => {})]);
      odd.leave();
    }
    expect(await ada.beat()).toMatchObject({ ok: true });
  });
});

const BODIES: Record<string, [string, unknown][]> = {
  '/users/status': EVENTS.set_status ?? [],
  '/users/status/query': EVENTS.watch ?? [],
  '/users/logout': [
    ['a session that is no text', { sessionId: 7 }],
    ['a session with a space', { sessionId: 'a b' }],
    ['a session that is too long', { sessionId: 's'.repeat(129) }],
    ['a user that is none', { userId: '' }],
    ['a user in a list', { userId: ['ada'] }],
  ],
};

describe.each(Object.entries(BODIES))('POST %s', (path, wrong) => {
  const shapes = [...NEVER, ...wrong, ['JSON that is none', '{"status":'], ['two of them', '{}{}']] as [
    string,
    unknown,
  ][];

  test.each(shapes)('refuses %s with a reason', async (_what, payload) => {
    const answer = await rest(rollcall.url, 'POST', path, { token: await tokenFor('ada'), body: payload });
    expect(answer.body).toEqual({ statusCode: 400, error: 'Bad Request', ...refusal });
    expect(answer.status).toBe(400);
  });

  test('refuses a body of 300 KiB, and prototypes hidden in one that is otherwise right', async () => {
    const token = await tokenFor('ada');
    const post = (body: unknown) => rest(rollcall.url, 'POST', path, { token, body });
    const large = await post({ status: 'inactive', userIds: ['x'.repeat(300 * 1024)] });
    expect(large.body).toMatchObject({ statusCode: 413, code: 'PAYLOAD_TOO_LARGE' });
    for (const hidden of ['"__proto__":{"x":1}', '"constructor":{"prototype":{"x":1}}']) {
      const body = `{"status":"inactive","userIds":["bob"],"sessionId":"x",${hidden}}`;
      expect((await post(body)).body).toMatchObject({ statusCode: 400, code: 'INVALID_REQUEST' });
    }
  });

  test('looks at the token before the body, and at the body before the right', async () => {
    const wrongBody = { status: 7, userIds: 7, userId: 'bob', sessionId: 7 };
    const unsigned = await rest(rollcall.url, 'POST', path, { token: 'garbage', body: wrongBody });
    expect(unsigned.body).toMatchObject({ statusCode: 401, code: 'UNAUTHENTICATED' });
    const misshapen = await rest(rollcall.url, 'POST', path, { token: await tokenFor('eve'), body: wrongBody });
    expect(misshapen.body).toMatchObject({ statusCode: 400, code: 'INVALID_REQUEST' });
  });
});

test.each([
  ['GET', '/users/a%20b/status', 'INVALID_USER_ID'],
  ['GET', `/users/${'a'.repeat(129)}/status`, 'INVALID_USER_ID'],
  ['GET', '/users/%00/sessions', 'INVALID_USER_ID'],
  ['GET', '/users/%ff/status', 'INVALID_REQUEST'],
  ['GET', '/users/ada/status?include=shoes', 'INVALID_REQUEST'],
  ['GET', '/users/ada/status?include=why&include=why', 'INVALID_REQUEST'],
  ['GET', '/users/ada/status?include[__proto__]=why', 'ok'],
  ['DELETE', '/users/ada/sessions/a%20b', 'INVALID_REQUEST'],
  ['DELETE', `/users/ada/sessions/${'s'.repeat(129)}`, 'INVALID_REQUEST'],
  ['DELETE', '/users/a%20b/sessions/x', 'INVALID_USER_ID'],
])('%s %s is answered with %s', async (method, path, code) => {
  const answer = await rest(rollcall.url, method, path, { token: await tokenFor('ada') });
  expect(answer.body.code ?? 'ok').toBe(code);
  if (code !== 'ok') expect(answer.status).toBe(400);
});

test('after all of this nobody is other than before, and no process has seen a fault of its own', async () => {
  expect(ada.closed).toEqual([]);
  expect(await watcher.watch('ada')).toMatchObject({ ok: true, users: [{ userId: 'ada', status: 'active' }] });
  expect(await rollcall.db('users').where({ hidden: true })).toEqual([]);
  const { body } = await rest(rollcall.url, 'GET', '/users/ada/sessions', { token: await tokenFor('ada') });
  expect(body.sessions).toMatchObject([{ sessionId: ada.sessionId, state: 'active' }]);
  ada.leave();
  await watcher.hears('ada', isInactive);
  expect(watcher.statuses('ada')).toEqual(['active', 'inactive']);
  expect(rollcall.faults).toEqual([]);
});
