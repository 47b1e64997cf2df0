import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, JWT_SECRET, type WebProgram } from '../support/deployment.ts';

let rollcall: Deployment;
let strict: WebProgram;
let calls = 0;
/** Somebody whom no other test knows. */
const somebody = (name: string) => `${name}-${calls++}`;

beforeAll(async () => {
  rollcall = await Deployment.start('handshake', { env: CALM });
  strict = await rollcall.addWeb({ MAX_SESSIONS_PER_USER: '2', MAX_WATCHED_USERS: '3' });
});
afterAll(() => rollcall?.stop());

async function refusal(auth: Record<string, unknown>, { url = rollcall.url, query = {} } = {}): Promise<Refused> {
  try {
    await new TestClient(url, auth, { query }).welcomed();
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
  throw new Error('It was let in');
}

/** A token as no honest library makes it. */
function forged(header: object, claims: object, secret = JWT_SECRET): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
const soon = () => Math.floor(Date.now() / 1000) + 600;

test('whoever is let in is told first who it is, by which session, and how often to beat', async () => {
  const ada = somebody('ada');
  const client = await TestClient.connect(rollcall.url, ada, { deviceId: 'laptop', watch: ['never-came'] });
  expect(client.ready).toEqual({
    protocol: 1,
    userId: ada,
    sessionId: expect.stringMatching(/^[A-Za-z0-9._\-@|+:~]{1,128}$/),
    heartbeatIntervalMs: 30_000,
    ttlMs: 60_000,
    serverTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    users: [{ userId: 'never-came', status: 'inactive', lastSeen: null, version: 0 }],
  });
  expect(Math.abs(Date.parse(client.ready?.serverTime ?? '') - Date.now())).toBeLessThan(5000);
  client.leave();
});

test('the first version of the protocol is spoken, named or not', async () => {
  for (const protocol of [1, null, undefined]) {
    const client = await TestClient.connect(rollcall.url, somebody('eve'), { protocol });
    expect(client.ready?.protocol).toBe(1);
    client.leave();
  }
});

test.each([2, 0, '1', 1.5, {}, true])(
  'protocol %j is refused with those that are spoken, whatever else the handshake says',
  async (protocol) => {
    const token = await tokenFor(somebody('eve'));
    const refused = await refusal({ token, protocol, watch: 'of another version' });
    expect(refused.code).toBe('UNSUPPORTED_PROTOCOL');
    expect(refused.data).toMatchObject({ code: 'UNSUPPORTED_PROTOCOL', supported: [1] });
  },
);

test('a protocol that is not spoken says nothing to who has no valid token', async () => {
  expect((await refusal({ token: 'none', protocol: 2 })).code).toBe('UNAUTHENTICATED');
});

test('long polling is as good as a websocket', async () => {
  const watcher = await TestClient.connect(rollcall.url, somebody('watcher'), { watch: ['poll'] });
  const poll = await new TestClient(
    rollcall.url,
    { token: await tokenFor('poll') },
    { transports: ['polling'] },
  ).welcomed();
  await watcher.hears('poll', (change) => change.status === 'active');
  expect(await poll.beat()).toMatchObject({ ok: true });
  poll.leave();
  await watcher.hears('poll', (change) => change.status === 'inactive');
  watcher.leave();
});

test.each<[string, () => Promise<Record<string, unknown>>, string]>([
  ['no token', async () => ({}), 'UNAUTHENTICATED'],
  ['an empty token', async () => ({ token: '' }), 'UNAUTHENTICATED'],
  ['a token that is no text', async () => ({ token: { toString: 'x' } }), 'UNAUTHENTICATED'],
  ['garbage for a token', async () => ({ token: 'a.b.c' }), 'UNAUTHENTICATED'],
  ['a token of a megabyte, nearly', async () => ({ token: 'x'.repeat(200_000) }), 'PAYLOAD_TOO_LARGE'],
  ['an expired token', async () => ({ token: await tokenFor('eve', { expiresInSeconds: -10 }) }), 'TOKEN_EXPIRED'],
  [
    'a token signed with another secret',
    async () => ({ token: forged({ alg: 'HS256' }, { sub: 'eve', exp: soon() }, 'another secret, also long enough') }),
    'UNAUTHENTICATED',
  ],
  [
    'an unsigned token',
    async () => ({ token: forged({ alg: 'none' }, { sub: 'eve', exp: soon() }) }),
    'UNAUTHENTICATED',
  ],
  [
    'an unsigned token with no signature at all',
    async () => ({ token: `${forged({ alg: 'none' }, { sub: 'eve', exp: soon() }).replace(/[^.]*$/, '')}` }),
    'UNAUTHENTICATED',
  ],
  [
    'a token of another algorithm',
    async () => ({ token: forged({ alg: 'HS512' }, { sub: 'eve', exp: soon() }) }),
    'UNAUTHENTICATED',
  ],
  ['a token without an end', async () => ({ token: forged({ alg: 'HS256' }, { sub: 'eve' }) }), 'UNAUTHENTICATED'],
  ['a token without a name', async () => ({ token: forged({ alg: 'HS256' }, { exp: soon() }) }), 'UNAUTHENTICATED'],
  ['a name with a space', async () => ({ token: await tokenFor('e v e') }), 'INVALID_USER_ID'],
  ['a name that is too long', async () => ({ token: await tokenFor('e'.repeat(129)) }), 'INVALID_USER_ID'],
  [
    'a service that may not even read',
    async () => ({ token: await tokenFor('svc', { scope: 'presence:other' }) }),
    'FORBIDDEN',
  ],
])('%s is refused with its reason', async (_what, auth, code) => {
  const refused = await refusal(await auth());
  expect(refused.data).toEqual({ code, message: expect.any(String) });
});

test.each<[string, Record<string, unknown>, string]>([
  ['a device id with a space', { deviceId: 'my laptop' }, 'INVALID_REQUEST'],
  ['a device id of 129 characters', { deviceId: 'd'.repeat(129) }, 'INVALID_REQUEST'],
  ['a device id that is no text', { deviceId: 7 }, 'INVALID_REQUEST'],
  ['an unknown kind of device', { device: { kind: 'toaster' } }, 'INVALID_REQUEST'],
  ['a device without a kind', { device: { name: 'x' } }, 'INVALID_REQUEST'],
  ['a device name of 65 characters', { device: { kind: 'web', name: 'x'.repeat(65) } }, 'INVALID_REQUEST'],
  ['a device name with a line break', { device: { kind: 'web', name: 'a\nb' } }, 'INVALID_REQUEST'],
  ['a watch that is no list', { watch: 'ada' }, 'INVALID_REQUEST'],
  ['a watched name that is none', { watch: ['a b'] }, 'INVALID_USER_ID'],
  ['a watch of 1001', { watch: Array.from({ length: 1001 }, (_, n) => `w${n}`) }, 'INVALID_REQUEST'],
  ['a batch that is no yes or no', { batch: 'yes' }, 'INVALID_REQUEST'],
  ['an unknown way of beating', { heartbeat: 'drum' }, 'INVALID_REQUEST'],
])('%s is refused, and nobody becomes active by it', async (_what, auth, code) => {
  const mallory = somebody('mallory');
  const refused = await refusal({ token: await tokenFor(mallory), ...auth });
  expect(refused.code).toBe(code);
  const { status } = await rest(rollcall.url, 'GET', `/users/${mallory}/status`, { token: await tokenFor('reader') });
  expect(status).toBe(404);
});

test('a device name of 64 characters is let in', async () => {
  const device = { kind: 'web', name: '🦊'.repeat(64) };
  const client = await TestClient.connect(rollcall.url, somebody('fox'), { device });
  client.leave();
});

test('a token in the address is not read', async () => {
  const token = await tokenFor('eve');
  expect((await refusal({}, { query: { token, auth: token, access_token: token } })).code).toBe('UNAUTHENTICATED');
});

test('a third session is refused where two are allowed; the same device again, or one less, and it fits', async () => {
  const ada = somebody('ada');
  const first = await TestClient.connect(strict.url, ada, { deviceId: 'one' });
  const second = await TestClient.connect(strict.url, ada, { deviceId: 'two' });
  const token = await tokenFor(ada);
  expect((await refusal({ token, deviceId: 'three' }, strict)).data).toEqual({
    code: 'TOO_MANY_SESSIONS',
    message: expect.any(String),
  });
  expect((await refusal({ token }, strict)).code).toBe('TOO_MANY_SESSIONS');
  const again = await TestClient.connect(strict.url, ada, { deviceId: 'two' });
  expect(await second.isClosed()).toEqual({ reason: 'replaced', reconnect: false });
  first.leave();
  const third = await eventually(
    () => TestClient.connect(strict.url, ada, { deviceId: 'three' }).catch(() => null),
    (client) => client !== null,
  );
  for (const client of [again, third]) client?.leave();
});

test('nobody may watch more than is allowed, neither at once nor little by little', async () => {
  const auth = { token: await tokenFor(somebody('watcher')) };
  expect((await refusal({ ...auth, watch: ['a', 'b', 'c', 'd'] }, strict)).code).toBe('TOO_MANY_WATCHED');
  const watcher = await new TestClient(strict.url, { ...auth, watch: ['a', 'b'] }).welcomed();
  expect(await watcher.watch('b', 'c', 'd')).toMatchObject({ ok: false, error: { code: 'TOO_MANY_WATCHED' } });
  expect(await watcher.watch('a', 'b', 'c')).toMatchObject({ ok: true });
  expect(await watcher.watch('d')).toMatchObject({ ok: false, error: { code: 'TOO_MANY_WATCHED' } });
  expect(await watcher.socket.emitWithAck('unwatch', { userIds: ['a'] })).toEqual({ ok: true });
  expect(await watcher.watch('d')).toMatchObject({ ok: true });
  watcher.leave();
});

test('a service looks on without being there itself, and may watch anyone', async () => {
  const service = somebody('service');
  const watcher = await TestClient.connect(rollcall.url, somebody('watcher'), { watch: [service] });
  const token = await tokenFor(service, { scope: 'openid presence:read' });
  const observer = await new TestClient(rollcall.url, { token, deviceId: 'rack', watch: ['dora'] }).welcomed();
  expect(observer.ready).toMatchObject({ userId: service, sessionId: null });
  const dora = await TestClient.connect(rollcall.url, 'dora');
  await observer.hears('dora', (change) => change.status === 'active');
  // Its heartbeats and its goodbye are nobody's.
  expect(await observer.beat()).toMatchObject({ ok: true });
  observer.leave();
  expect(await watcher.watch(service)).toEqual({
    ok: true,
    users: [{ userId: service, status: 'inactive', lastSeen: null, version: 0 }],
  });
  expect(watcher.heard).toEqual([]);
  expect(await rollcall.redis.get(rollcall.key(`user:status:${service}`))).toBeNull();
  expect(await rollcall.db('users').where({ id: service })).toEqual([]);
  for (const client of [watcher, dora]) client.leave();
});

test('no process took any of this for a fault of its own', () => {
  expect(rollcall.faults).toEqual([]);
  for (const program of [...rollcall.webs, ...rollcall.workers]) expect(program.running).toBe(true);
});
