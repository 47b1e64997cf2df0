import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LiveAnswer, PersonAnswer, PersonPastAnswer } from '../../src/protocol/console.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';

let rollcall: Deployment;
let reading: WebProgram;
let host: string;
const here: TestClient[] = [];
beforeAll(async () => {
  rollcall = await Deployment.start('console', {
    env: { ...BRISK, ...LOCK, ROOMS_OPEN: '*', BOARD_WRITABLE: 'true', PRESENCE_TTL_SECONDS: '120' },
  });
  reading = await rollcall.addWeb({ BOARD_WRITABLE: 'false' });
  host = await tokenFor('backend', { scope: 'presence:write' });
});
afterAll(async () => {
  for (const client of here) client.leave();
  await rollcall?.stop();
});

const login = `Basic ${Buffer.from(`${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`).toString('base64')}`;
const OWN = { 'x-rollcall-console': '1' };

function ask(method: string, path: string, headers: Record<string, string> = {}, web: WebProgram = rollcall.web(0)) {
  return fetch(`${web.url}/admin${path}`, { method, headers: { authorization: login, ...headers } });
}

async function read<T>(path: string): Promise<T> {
  const response = await ask('GET', `/api${path}`);
  expect([path, response.status]).toEqual([path, 200]);
  return (await response.json()) as T;
}

async function comes(userId: string, claims: object = {}, auth: object = {}): Promise<TestClient> {
  const token = await tokenFor(userId, { ...claims });
  const client = await TestClient.connect(rollcall.url, userId, { token, ...auth });
  here.push(client);
  return client;
}

const join = (client: TestClient, roomId: string) => client.socket.emitWithAck('join_room', { roomId });

/** As soon as it is so: what was done a moment ago is on its way to PostgreSQL. */
const found = (q: string, ids: string[]) =>
  eventually(
    async () => {
      const { people } = await read<{ people: { userId: string }[] }>(`/people?q=${encodeURIComponent(q)}`);
      return people.map(({ userId }) => userId).join();
    },
    (seen) => seen === ids.join(),
  );

test('without the password there is nothing to see, and with it a page that asks nobody else', async () => {
  for (const path of ['/admin', '/admin/console.js', '/admin/api/live', '/admin/api/people?q=a']) {
    const response = await fetch(`${rollcall.url}${path}`);
    expect([path, response.status]).toEqual([path, 401]);
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic /);
  }
  const page = await ask('GET', '');
  expect(page.status).toBe(200);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  const html = await page.text();
  const text = html + (await (await ask('GET', '/console.js')).text());
  for (const secret of [LOCK.ADMIN_PASSWORD, rollcall.env.JWT_SECRET ?? '', rollcall.env.DATABASE_URL ?? ''])
    expect(text).not.toContain(secret);
  // Below a path of a proxy all of it stays below that.
  const addresses = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address);
  const own = addresses.filter((address) => !address.startsWith('data:'));
  expect(own.length).toBeGreaterThan(1);
  for (const address of own) {
    const { pathname } = new URL(address, 'http://host/below/admin');
    expect([address, pathname.slice(0, 12)]).toEqual([address, '/below/admin']);
    expect((await ask('GET', pathname.slice('/below/admin'.length))).status).toBe(200);
  }
  for (const header of ['referrer-policy', 'x-content-type-options']) expect(page.headers.get(header)).not.toBeNull();
  const etag = page.headers.get('etag') ?? '';
  expect((await ask('GET', '', { 'if-none-match': etag })).status).toBe(304);
  expect((await ask('GET', '/', {})).url).toBe(`${rollcall.url}/admin`);
});

test('a person is found by the beginning of an id or a name, whatever its case, and by nothing in between', async () => {
  await comes('find-ada', { name: 'Ada Lovelace' });
  await comes('find-bob', { name: 'adam 100%_sure' });
  await found('ada', ['find-ada', 'find-bob']);
  await found('ADA l', ['find-ada']);
  await found('find-', ['find-ada', 'find-bob']);
  await found('find-b', ['find-bob']);
  await found('adam 100%_', ['find-bob']);
  await found('adam 1000_', []);
  await found('lovelace', []);
  await found('Find-', []);
  for (const query of ['', '?q=', `?q=${'a'.repeat(201)}`, '?q=a&limit=51'])
    expect([query, (await ask('GET', `/api/people${query}`)).status]).toEqual([query, 400]);
});

test('all about a person is told, with why, and nothing of it is hidden from the operator', async () => {
  const client = await comes('eve', { name: 'Eve' }, { deviceId: 'phone', device: { kind: 'mobile', name: 'Eve’s' } });
  await join(client, 'doc:1');
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const token = await tokenFor('eve');
  await rest(rollcall.url, 'PUT', '/users/eve/detail/call', { token: host, body: { availability: 'dnd', until } });
  await rest(rollcall.url, 'PUT', '/users/eve/settings', { token, body: { visibility: 'nobody' } });
  await rest(rollcall.url, 'PUT', '/users/eve/friends/find-ada', { token: host });
  await rest(rollcall.url, 'PUT', '/users/eve/blocks/mallory', { token });
  const person = await eventually(
    () => read<PersonAnswer>('/people/eve'),
    ({ profile }) => 'known' in profile && profile.known.displayName === 'Eve',
  );
  expect(person).toMatchObject({
    userId: 'eve',
    status: {
      known: { status: 'active', detail: { availability: 'dnd' }, why: { rule: 'heartbeat', source: 'call' } },
    },
    overdueMs: { known: 0 },
    sessions: { known: [{ device: { kind: 'mobile', name: 'Eve’s' }, lastHeartbeat: expect.any(String) }] },
    rooms: { known: [{ roomId: 'doc:1' }] },
    sources: { known: [{ source: 'call', availability: 'dnd', until, shown: true }] },
    privacy: { known: ['Nobody may see whether they are here.', expect.any(String)] },
    friends: { known: 1 },
    blocks: { known: 1 },
  });
  const { days, history } = await eventually(
    () => read<PersonPastAnswer>('/people/eve/past?limit=5'),
    ({ history }) => 'known' in history && history.known.transitions.length > 0,
  );
  expect(history).toMatchObject({ known: { transitions: [{ status: 'active', cause: 'connect' }], nextCursor: null } });
  expect('known' in days && days.known.length).toBe(28);
  expect((await ask('GET', '/api/people/nobody-by-this-id')).status).toBe(404);
  expect((await ask('GET', '/api/people/no%20id')).status).toBe(400);
});

test('a session, a source and a place in a room are ended by the operator, each with a line in the audit', async () => {
  const client = await comes('kim', {}, { deviceId: 'laptop' });
  await join(client, 'doc:2');
  await rest(rollcall.url, 'PUT', '/users/kim/detail/calendar', { token: host, body: { text: 'In a meeting' } });
  const { sessionId } = client.ready ?? {};
  const paths = ['/rooms/doc:2', '/sources/calendar', `/sessions/${sessionId}`].map((path) => `/api/people/kim${path}`);
  for (const path of paths) expect([path, (await ask('DELETE', path, OWN)).status]).toEqual([path, 204]);
  await eventually(
    () => client.closed.map(({ reason }) => reason),
    (reasons) => reasons.includes('logout'),
  );
  const { sessions, rooms, sources } = await read<PersonAnswer>('/people/kim');
  expect([sessions, rooms, sources]).toEqual([{ known: [] }, { known: [] }, { known: [] }]);
  expect((await ask('DELETE', paths[2] ?? '', OWN)).status).toBe(404);
  const { body } = await rest(rollcall.url, 'GET', '/audit?subject=kim', { token: host });
  const by = { actor: LOCK.ADMIN_USER, subject: 'kim' };
  expect(body.entries).toMatchObject([
    { ...by, act: 'session_removed', detail: { sessionId } },
    { ...by, act: 'source_removed', detail: { source: 'calendar' } },
    { ...by, act: 'kick', detail: { roomId: 'doc:2' } },
  ]);
});

test('what is not there or has no such name is refused as everywhere, and leaves nothing in the audit', async () => {
  await comes('max', {}, { deviceId: 'one' });
  const refused = async (path: string, method = 'DELETE') => {
    const response = await ask(method, `/api${path}`, OWN);
    return [response.status, response.status === 204 ? null : ((await response.json()) as { code: string }).code];
  };
  expect(await refused('/people/max/sessions/unknown')).toEqual([404, 'SESSION_NOT_FOUND']);
  expect(await refused('/people/no%20id/sessions/unknown')).toEqual([400, 'INVALID_USER_ID']);
  expect(await refused('/people/max/rooms/no%20room')).toEqual([400, 'INVALID_REQUEST']);
  expect(await refused('/people/max/sources/calendar')).toEqual([204, null]);
  expect(await refused('/people/max/rooms/doc:9')).toEqual([204, null]);
  expect(await refused('/people/max/past?cursor=garbled', 'GET')).toEqual([400, 'INVALID_REQUEST']);
  expect(await refused('/people/max/settings', 'PUT')).toEqual([404, 'NOT_FOUND']);
  const { body } = await rest(rollcall.url, 'GET', '/audit?subject=max', { token: host });
  expect(body.entries).toEqual([]);
});

test('nothing is changed by a console that only shows, by another site, or without the page’s own header', async () => {
  const client = await comes('liv', {}, { deviceId: 'tablet' });
  const path = `/api/people/liv/sessions/${client.ready?.sessionId}`;
  const refusals = [
    await ask('DELETE', path, OWN, reading),
    await ask('DELETE', path),
    await ask('DELETE', path, { ...OWN, 'sec-fetch-site': 'cross-site' }),
    await ask('DELETE', path, { ...OWN, origin: 'https://example.com' }),
    await ask('DELETE', path, { ...OWN, authorization: `Bearer ${host}` }),
  ];
  expect(refusals.map(({ status }) => status)).toEqual([403, 403, 403, 403, 401]);
  const { sessions } = await read<PersonAnswer>('/people/liv');
  expect('known' in sessions && sessions.known.length).toBe(1);
});

test('every process tells of itself while somebody looks, and of nothing once nobody does', async () => {
  const key = rollcall.key('presence:processes');
  const live = await eventually(
    () => read<LiveAnswer>('/live'),
    ({ processes }) => processes?.map(({ kind }) => kind).join() === 'web,web,worker',
  );
  expect(live).toMatchObject({ operator: LOCK.ADMIN_USER, writable: true });
  // That something is slow is true where the machine is busy; all else would be a fault.
  const slow = ['RollcallRedisSlow', 'RollcallDeliverySlow', 'RollcallUnderPressure', 'RollcallNewcomersRefused'];
  expect(live.wrong.map(({ alert }) => alert).filter((alert) => !slow.includes(alert))).toEqual([]);
  // Of this Redis, which is new to them, nobody knows yet what it lost.
  expect(live.progress.map(({ what }) => what)).toEqual(['settling']);
  expect(live.active?.now).toBeGreaterThan(0);
  expect(live.overdue).toEqual({ count: 0, users: [] });
  expect(live.rooms).toContainEqual({ roomId: 'doc:1', count: 1 });
  const connections = live.processes?.map((one) => (one.kind === 'web' ? one.figures.connections : 0)) ?? [];
  expect(connections.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  await rollcall.redis.del(rollcall.key('presence:onlookers'));
  expect(JSON.stringify(await rollcall.redis.hgetall(key))).not.toContain('find-ada');
  // Whoever still told of itself would keep it for longer, each second.
  await eventually(
    () => rollcall.redis.pttl(key),
    (leftMs) => leftMs < 12_500,
  );
});

test('what takes long says how far it is', async () => {
  const [name] = (await rollcall.db('knex_migrations').orderBy('name', 'desc').limit(1)).map((row) => row.name);
  await rollcall
    .db('knex_migrations')
    .where({ name })
    .update({ name: `${name}.later` });
  const { progress } = await eventually(
    async () => {
      // Once a minute a worker completes it.
      await rollcall.redis.del(rollcall.key('presence:seen-completed'));
      return read<LiveAnswer>('/live');
    },
    (live) => live.progress.length === 3,
  );
  expect(progress.map(({ what }) => what)).toEqual(['settling', 'index', 'migrating']);
  const [settling, , migrating] = progress;
  expect(settling?.part).toBeGreaterThan(0);
  expect(migrating?.text).toMatch(/^(\d+) of \d+ steps of the database are done: run `npm run migrate`\.$/);
  await rollcall
    .db('knex_migrations')
    .where({ name: `${name}.later` })
    .update({ name });
});

test('who looks at everybody is told by name to the operator, and to the metrics as a number', async () => {
  const ids = Array.from({ length: 150 }, (_, n) => `looked-at-${n}`);
  await rest(rollcall.url, 'POST', '/users/status/query', { token: await tokenFor('nosy'), body: { userIds: ids } });
  const { looks } = await eventually(
    () => read<LiveAnswer>('/live'),
    (live) => live.looks?.users.length === 1,
  );
  expect(looks).toMatchObject({ most: 20_000, users: [{ userId: 'nosy' }] });
  const looked = looks?.users[0]?.looked ?? 0;
  expect(Math.abs(looked - 150)).toBeLessThanOrEqual(3);
  const sample = 'rollcall_looks_most{rank="1"}';
  const samples = await eventually(
    () => samplesOf(rollcall.url),
    (all) => all.get(sample) === looked,
  );
  expect([...samples.keys()].filter((name) => name.startsWith('rollcall_looks_most'))).toEqual([sample]);
});
