import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { AuditLog } from '../../src/usecases/audit.ts';
import { dropOld } from '../../workers/retention.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { LOCK } from '../support/metrics.ts';

let rollcall: Deployment;
let stores: Stores;
let host: string;
const here: TestClient[] = [];
beforeAll(async () => {
  rollcall = await Deployment.start('audit', { env: { ...CALM, ...LOCK, BOARD_WRITABLE: 'true' } });
  host = await tokenFor('backend', { scope: 'presence:write' });
  const config = readConfig(rollcall.env);
  stores = openStores(config, createLogger({ ...config, logLevel: 'error' }, 'web'));
  await eventually(
    () => stores.redis.status,
    (status) => status === 'ready',
  );
});
afterAll(async () => {
  for (const client of here) client.leave();
  await stores?.close();
  await rollcall?.stop();
});

interface Entry {
  at: string;
  actor: string;
  act: string;
  subject: string | null;
  detail: Record<string, unknown> | null;
}

async function audit(query = ''): Promise<Entry[]> {
  const { status, body } = await rest(rollcall.url, 'GET', `/audit?${query}`, { token: host });
  expect(status).toBe(200);
  return body.entries;
}

async function comes(userId: string, auth: Record<string, unknown> = {}): Promise<string> {
  const client = await TestClient.connect(rollcall.url, userId, auth);
  here.push(client);
  return client.ready?.sessionId ?? '';
}

const board = (method: string, path: string, body?: object) =>
  fetch(`${rollcall.url}/admin/queues/api/queues${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`).toString('base64')}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

test('what a service signs out is told with who did it, and what users do to themselves is not', async () => {
  const [phone, laptop] = [await comes('ada', { deviceId: 'phone' }), await comes('ada', { deviceId: 'laptop' })];
  const own = await tokenFor('ada');
  const before = Date.now();
  expect((await rest(rollcall.url, 'DELETE', `/users/ada/sessions/${phone}`, { token: host })).status).toBe(204);
  expect((await rest(rollcall.url, 'DELETE', `/users/ada/sessions/${phone}`, { token: host })).status).toBe(404);
  expect((await rest(rollcall.url, 'DELETE', `/users/ada/sessions/${laptop}`, { token: own })).status).toBe(204);
  expect((await rest(rollcall.url, 'POST', '/users/logout', { token: own })).status).toBe(204);
  const everywhere = { token: host, body: { userId: 'ada' } };
  expect((await rest(rollcall.url, 'POST', '/users/logout', everywhere)).status).toBe(204);
  const removed = { actor: 'backend', act: 'session_removed', subject: 'ada', at: expect.any(String) };
  const entries = await audit('subject=ada');
  expect(entries).toEqual([
    { ...removed, detail: { sessionId: null } },
    { ...removed, detail: { sessionId: phone } },
  ]);
  for (const { at } of entries) {
    expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(at) - before).toBeGreaterThanOrEqual(0);
  }
});

test('a source that a service ends is told, and none that a user ends or that was not there', async () => {
  const own = await tokenFor('fay');
  const ask = async (method: string, path: string, token: string, body?: object) =>
    (await rest(rollcall.url, method, `/users/fay/${path}`, { token, ...(body && { body }) })).status;
  for (const path of ['detail', 'detail/calendar']) expect(await ask('PUT', path, host, { text: 'in' })).toBe(200);
  expect(await ask('DELETE', 'detail', own)).toBe(204);
  for (let n = 0; n < 2; n++) expect(await ask('DELETE', 'detail/calendar', host)).toBe(204);
  expect(await ask('DELETE', 'detail', host)).toBe(204);
  expect(await ask('PUT', 'detail', host, { text: 'again' })).toBe(200);
  expect(await ask('DELETE', 'detail', host)).toBe(204);
  expect(await audit('subject=fay')).toMatchObject([
    { actor: 'backend', act: 'source_removed', detail: { source: 'manual' } },
    { actor: 'backend', act: 'source_removed', detail: { source: 'calendar' } },
  ]);
});

test('who was erased is named by a hash from then on, as one who did something too, and the erasing stays', async () => {
  const grace = await tokenFor('grace', { scope: 'presence:write' });
  await comes('grace');
  const session = await comes('bob');
  await comes('carl');
  await rest(rollcall.url, 'DELETE', `/users/bob/sessions/${session}`, { token: grace });
  await rest(rollcall.url, 'POST', '/users/logout', { token: host, body: { userId: 'grace' } });
  expect((await rest(rollcall.url, 'DELETE', '/users/grace', { token: host })).status).toBe(204);
  const entries = await audit();
  expect(JSON.stringify(entries)).not.toContain('grace');
  const [erasing, removedBob] = [
    entries.find(({ act }) => act === 'erase'),
    entries.find(({ subject }) => subject === 'bob'),
  ];
  expect(erasing).toMatchObject({ actor: 'backend', act: 'erase', subject: expect.stringMatching(/^#[\w-]{24}$/) });
  const hash = erasing?.subject ?? '';
  expect(removedBob).toMatchObject({ actor: hash, act: 'session_removed', detail: null });
  expect(await audit(`subject=${encodeURIComponent(hash)}`)).toMatchObject([
    { act: 'erase', actor: 'backend', detail: null },
    { act: 'session_removed', actor: 'backend', detail: null },
  ]);
  // By the id nobody is found, so the audit does not tell whose the hash is.
  expect(await audit('subject=grace')).toEqual([]);
  // Who erases themselves leaves no row of it.
  const carl = await tokenFor('carl');
  expect((await rest(rollcall.url, 'DELETE', '/users/carl', { token: carl })).status).toBe(204);
  expect((await audit()).filter(({ act }) => act === 'erase')).toEqual([erasing]);
});

test('an act that is noted behind an erasure does not bring the name back', async () => {
  await comes('late');
  const token = await tokenFor('late');
  expect((await rest(rollcall.url, 'DELETE', '/users/late', { token })).status).toBe(204);
  await new AuditLog(stores).note({ actor: 'late', act: 'kick', subject: 'late', detail: { roomId: 'r' } });
  const [entry] = await audit('limit=1');
  expect(entry).toMatchObject({ act: 'kick', actor: expect.stringMatching(/^#/), detail: null });
  expect(entry?.subject).toBe(entry?.actor);
});

test('what an operator writes on the board is told with the queue, the kind of job and whom it is about', async () => {
  await comes('dora');
  const jobs = await eventually(
    async () => {
      const answer = await board('GET', '?activeQueue=timeouts&status=delayed');
      const { queues } = (await answer.json()) as { queues: { name: string; jobs: { id: string }[] }[] };
      return queues.flatMap(({ name, jobs }) => (name === 'timeouts' ? jobs : []));
    },
    (found) => found.some(({ id }) => id.includes('dora')),
  );
  const id = jobs.find((job) => job.id.includes('dora'))?.id ?? '';
  expect((await board('PUT', `/timeouts/${encodeURIComponent(id)}/promote`)).status).toBeLessThan(300);
  expect((await board('PUT', '/webhooks/pause')).status).toBeLessThan(300);
  expect((await board('PUT', '/webhooks/resume')).status).toBeLessThan(300);
  expect((await board('PUT', '/nowhere/pause')).status).toBe(404);
  const told = { actor: 'ops', act: 'board', at: expect.any(String) };
  expect(await audit('actor=ops')).toEqual([
    { ...told, subject: null, detail: { queue: 'webhooks', write: 'resume' } },
    { ...told, subject: null, detail: { queue: 'webhooks', write: 'pause' } },
    { ...told, subject: 'dora', detail: { queue: 'timeouts', write: 'promote', job: 'check' } },
  ]);
});

test('while PostgreSQL is away an act is kept, and noted with its own time when it is back', async () => {
  const db = connectPostgres({ databaseUrl: 'postgres://127.0.0.1:1/away', databaseSsl: 'by-url' });
  const before = Date.now();
  await new AuditLog({ db, queues: stores.queues }).note({
    actor: 'backend',
    act: 'source_removed',
    subject: 'emil',
    detail: { source: 'calendar' },
  });
  const after = Date.now();
  const [entry] = await eventually(
    () => audit('subject=emil'),
    (entries) => entries.length > 0,
  );
  expect(entry).toMatchObject({ act: 'source_removed', detail: { source: 'calendar' } });
  expect(Date.parse(entry?.at ?? '')).toBeGreaterThanOrEqual(before);
  expect(Date.parse(entry?.at ?? '')).toBeLessThanOrEqual(after);
  await db.destroy();
});

test('the audit is read in pages, between moments, by actor and subject, and kept as long as the history', async () => {
  const all = await audit('limit=1000');
  const walked: Entry[] = [];
  for (let cursor = ''; ; ) {
    const path = `/audit?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const { body } = await rest(rollcall.url, 'GET', path, { token: host });
    walked.push(...body.entries);
    if (body.nextCursor === null) break;
    cursor = body.nextCursor;
  }
  expect(walked).toEqual(all);
  expect(all.map(({ at }) => at)).toEqual(
    all
      .map(({ at }) => at)
      .toSorted()
      .reverse(),
  );
  const [newest] = all;
  const oldest = all.at(-1);
  expect(await audit(`to=${newest?.at}`)).toEqual(all.filter(({ at }) => at < (newest?.at ?? '')));
  expect(await audit(`from=${newest?.at}`)).toEqual(all.filter(({ at }) => at >= (newest?.at ?? '')));
  expect(await audit(`actor=ops&subject=dora&from=${oldest?.at}`)).toHaveLength(1);
  await rollcall.db.raw(`UPDATE audit_log SET at = now() - interval '31 days' WHERE actor = 'ops'`);
  expect(await dropOld(stores, { historyRetentionDays: 30, webhooks: [] })).toMatchObject({ acts: 3 });
  expect(await audit('limit=1000')).toEqual(all.filter(({ actor }) => actor !== 'ops'));
});

test.each([
  ['none', 401, 'UNAUTHENTICATED', '/audit'],
  ['ada', 403, 'FORBIDDEN', '/audit'],
  ['other', 403, 'FORBIDDEN', '/audit'],
  ['ada', 400, 'INVALID_REQUEST', '/audit?limit=0'],
  ['backend', 400, 'INVALID_REQUEST', '/audit?limit=1001'],
  ['backend', 400, 'INVALID_REQUEST', '/audit?cursor=garbled'],
  ['backend', 400, 'INVALID_REQUEST', '/audit?from=yesterday'],
  ['backend', 400, 'INVALID_USER_ID', '/audit?subject=a%20b'],
  ['backend', 400, 'INVALID_REQUEST', '/audit?from=2026-01-02T00:00:00.000Z&to=2026-01-01T00:00:00.000Z'],
  ['reader', 200, undefined, '/audit?from=2026-01-02T00:00:00%2B01:00'],
])('the audit answers %s with %i %s at %s', async (who, status, code, path) => {
  const scopes: Record<string, string | undefined> = {
    reader: 'presence:read',
    backend: 'presence:write',
    other: 'presence:none',
  };
  const scope = scopes[who];
  const token = who === 'none' ? null : await tokenFor(who, scope ? { scope } : {});
  const answer = await rest(rollcall.url, 'GET', path, { token });
  expect([answer.status, answer.body.code]).toEqual([status, code]);
});
