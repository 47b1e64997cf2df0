import { afterAll, beforeAll, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { ownRedis, privatePostgres } from '../support/stores.ts';

/** Contains what ids are rewritten for in other places, and occurs nowhere by chance. */
const GONE = 'gone:with|the~wind';
const SPELLINGS = [GONE, GONE.replaceAll(':', '!'), encodeURIComponent(GONE), Buffer.from(GONE).toString('base64url')];

let redis: Awaited<ReturnType<typeof ownRedis>>;
let postgres: Awaited<ReturnType<typeof privatePostgres>>;
let rollcall: Deployment;
let host: string;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([ownRedis(), privatePostgres()]);
  rollcall = await Deployment.start('erasure', {
    webs: 2,
    redisUrl: redis.url,
    databaseUrl: postgres.databaseUrl,
    env: { ALERT_MIN_ABSENCE_SECONDS: '0', ALERT_STABLE_SECONDS: '0' },
  });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
}, 120_000);
afterAll(async () => {
  await rollcall?.stop();
  await Promise.all([redis?.stop(), postgres?.postgres.stop()]);
});

async function call(method: string, path: string, body?: unknown) {
  const options = body === undefined ? { token: host } : { token: host, body };
  const answer = await rest(rollcall.url, method, path, options);
  expect(answer.status, `${method} ${path}`).toBeLessThan(300);
  return answer.body;
}

/** Everything in both stores, as text, that names the user. */
async function traces(spellings = SPELLINGS): Promise<string[]> {
  const found: string[] = [];
  const { redis: client, db } = rollcall;
  for (const key of await client.keys('*')) {
    const text = JSON.stringify([key, await read(key)]);
    if (spellings.some((spelling) => text.includes(spelling))) found.push(`Redis ${key}`);
  }
  const tables = await db.raw<{ rows: { name: string }[] }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  for (const { name } of tables.rows) {
    for (const spelling of spellings) {
      const { rows } = await db.raw(`SELECT 1 FROM ?? AS t WHERE position(? IN t::text) > 0 LIMIT 1`, [name, spelling]);
      if (rows.length > 0) found.push(`PostgreSQL ${name}`);
    }
  }
  return found;
}

async function read(key: string): Promise<unknown> {
  const { redis: client } = rollcall;
  switch (await client.type(key)) {
    case 'string':
      return client.get(key);
    case 'hash':
      return client.hgetall(key);
    case 'set':
      return client.smembers(key);
    case 'zset':
      return client.zrange(key, '0', '-1');
    case 'list':
      return client.lrange(key, 0, -1);
    case 'stream':
      return client.xrange(key, '-', '+');
    default:
      return null;
  }
}

test('of an erased user nothing is left in any store a minute later, watchers saw them go, and whoever comes back under the id is newer', async () => {
  const path = encodeURIComponent(GONE);
  const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher', { watch: [GONE] });
  const friend = await TestClient.connect(rollcall.web(0).url, 'friend', { watch: [] });
  await call('PUT', `/users/${path}`, { displayName: 'Going' });
  await call('PUT', `/users/friend/settings`, { visibility: 'friends' });
  await call('PUT', `/users/friend/friends/${path}`);
  await call('PATCH', `/users/friend/friends/${path}`, { alert: 'always' });
  await call('PUT', `/users/${path}/blocks/enemy`);
  await call('PUT', `/users/other/blocks/${path}`);
  await call('PUT', `/users/${path}/settings`, { lastSeenVisibility: 'friends' });
  for (const userId of [path, 'friend']) await call('PUT', `/conversations/room/members/${userId}`);

  const sockets = await Promise.all(
    [0, 1].map((n) => TestClient.connect(rollcall.web(n).url, GONE, { deviceId: `d${n}` })),
  );
  const [first, second] = sockets as [TestClient, TestClient];
  await watcher.hears(GONE, isActive);
  await first.socket.emitWithAck('set_detail', { text: 'leaving', expiresInSeconds: 86_400 });
  await first.socket.emitWithAck('join_conversation', { conversationId: 'room' });
  await first.socket.emitWithAck('start_indicator', { conversationId: 'room', kind: 'typing' });
  // A choice that would end tomorrow, a goodbye and a return: jobs and history of every kind.
  await second.socket.emitWithAck('set_status', { status: 'inactive', expiresInSeconds: 86_400 });
  await watcher.hears(GONE, isInactive);
  await second.socket.emitWithAck('set_status', { status: 'active' });
  await watcher.hears(GONE, isActive, { after: watcher.of(GONE).length - 1 });
  await eventually(
    () => rollcall.db('status_transitions').where({ user_id: GONE }).count('* as n').first(),
    (row) => Number(row?.n) >= 3,
    10_000,
  );
  expect((await traces()).length).toBeGreaterThan(10);

  const told = watcher.of(GONE).length;
  await call('DELETE', `/users/${path}`);
  const erasedAt = performance.now();
  const last = await watcher.hears(GONE, (change) => change.lastSeen === null && isInactive(change), { after: told });
  for (const socket of sockets) expect(await socket.isClosed()).toMatchObject({ reason: 'logout', reconnect: false });
  expect((await rest(rollcall.url, 'GET', `/users/${path}/status`, { token: host })).status).toBe(404);
  expect(await call('GET', '/users/friend/friends')).toEqual({ friends: [] });
  await eventually(traces, (found) => found.length === 0, 60_000 - (performance.now() - erasedAt));

  const again = await TestClient.connect(rollcall.url, GONE);
  const back = await watcher.hears(GONE, isActive, { after: told + 1 });
  expect(back.version).toBeGreaterThan(last.version);
  expect(await call('GET', `/users/${path}`)).toMatchObject({ displayName: null });
  for (const client of [again, watcher, friend]) client.leave();
}, 150_000);

test('changes that are made while somebody is erased leave nothing of them in any store a minute later', async () => {
  const people = Array.from({ length: 8 }, (_, n) => `busy:erased:${n}~`);
  const quietly = async (method: string, path: string, body?: unknown) => {
    await rest(rollcall.url, method, path, body === undefined ? { token: host } : { token: host, body });
  };
  await Promise.all(
    people.map(async (userId, n) => {
      const [path, other] = [encodeURIComponent(userId), `bystander-${n}`];
      await call('PUT', `/users/${other}/settings`, { visibility: 'friends' });
      await call('PUT', `/users/${path}/friends/${other}`);
      await call('PUT', `/users/${path}/blocks/enemy`);
      const socket = await TestClient.connect(rollcall.web(n % 2).url, userId, { deviceId: 'phone' });
      const changes = [
        () => quietly('PUT', `/users/${path}/settings`, { visibility: n % 2 === 0 ? 'nobody' : 'friends' }),
        () => quietly('PUT', `/users/${other}/blocks/${path}`),
        () => quietly('DELETE', `/users/${path}/blocks/enemy`),
        () => quietly('PUT', `/users/${path}/blocks/another`),
        () => quietly('PUT', `/users/${path}/friends/${other}`),
      ];
      // In a burst that the erasure falls into.
      const all = changes.slice(0, 1 + (n % changes.length)).map((change) => change());
      await Promise.all([quietly('DELETE', `/users/${path}`), ...all, socket.beat().catch(() => {})]);
      // What was made after the erasure is a life of its own: it ends as it is asked to.
      await quietly('DELETE', `/users/${other}/blocks/${path}`);
      await quietly('DELETE', `/users/${path}`);
      socket.leave();
    }),
  );
  const erasedAt = performance.now();
  for (const userId of people) {
    const spellings = [userId, userId.replaceAll(':', '!'), encodeURIComponent(userId)];
    const left = await eventually(
      () => traces(spellings),
      (found) => found.length === 0,
      Math.max(1000, 60_000 - (performance.now() - erasedAt)),
    ).catch(() => traces(spellings));
    expect(left, userId).toEqual([]);
  }
}, 150_000);

test('who hides and comes back before a worker has erased them begins anew: they are seen as PostgreSQL says, soon after', async () => {
  const userId = 'back:before:erased';
  const watcher = await TestClient.connect(rollcall.url, 'of-who-is-back', { watch: [userId] });
  const before = await TestClient.connect(rollcall.url, userId);
  await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === 'active',
  );
  for (const worker of rollcall.workers) worker.kill('SIGSTOP');
  const erasing = rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host });
  await eventually(
    () => rollcall.redis.exists(rollcall.key(`user:sessions:${userId}`)),
    (there) => there === 0,
  );
  await call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
  const back = await TestClient.connect(rollcall.url, userId);
  for (const worker of rollcall.workers) worker.kill('SIGCONT');
  await erasing;
  // A worker that was slow may have been waited for no longer than an erasure waits.
  await eventually(
    () => call('GET', `/users/${userId}/settings`),
    ({ visibility }) => visibility === 'everyone',
    15_000,
  );
  const viewer = await tokenFor('of-who-is-back');
  await eventually(
    async () => (await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: viewer })).body.status,
    (status) => status === 'active',
    15_000,
  );
  const last = () => watcher.of(userId).at(-1)?.status;
  await watcher.until(() => last() === 'active' || undefined, 'somebody who is here', 15_000);
  expect(await watcher.watch(userId)).toMatchObject({ ok: true, users: [{ status: 'active' }] });
  for (const client of [before, back, watcher]) client.leave();
});

test('somebody who was erased is not there again with a Redis that comes back older than that', async () => {
  const userId = 'older:erased';
  const socket = await TestClient.connect(rollcall.url, userId, { deviceId: 'phone' });
  await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === 'active',
  );
  const { redis: client } = rollcall;
  const keys = [`user:sessions:${userId}`, `user:status:${userId}`, `user:last_seen:${userId}`].map((key) =>
    rollcall.key(key),
  );
  const dumps = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
  await call('DELETE', `/users/${userId}`);
  expect(await socket.isClosed()).toMatchObject({ reason: 'logout' });
  for (const [n, key] of keys.entries()) await client.restore(key, 60_000, dumps[n] ?? '', 'REPLACE');
  for (const index of ['seen', 'due']) {
    const shard = shardOf(userId);
    await client.zadd(rollcall.key(`presence:${index}:s${shard}`), Date.now() + (index === 'due' ? 60_000 : 0), userId);
  }
  expect((await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: host })).status).toBe(200);
  await Promise.all(rollcall.workers.splice(0).map((worker) => worker.end()));
  await rollcall.addWorker();
  await eventually(
    async () => (await rest(rollcall.url, 'GET', `/users/${userId}/status`, { token: host })).status,
    (status) => status === 404,
    15_000,
  );
  expect(await client.exists(...keys)).toBe(0);
});

test('what a connection of an erased user still says makes nothing of them again', async () => {
  const late = 'late:erased';
  const watcher = await TestClient.connect(rollcall.url, 'keeper', { watch: [late] });
  const socket = await TestClient.connect(rollcall.web(1).url, late, { deviceId: 'phone' });
  await watcher.hears(late, isActive);
  // Frozen, so that it cannot close its socket; its heartbeats come when everything is over.
  rollcall.web(1).kill('SIGSTOP');
  const beats = [socket.beat(), socket.beat()];
  await call('DELETE', `/users/${late}`);
  rollcall.web(1).kill('SIGCONT');
  await Promise.all(beats.map((beat) => beat.catch(() => {})));
  expect(await socket.isClosed()).toMatchObject({ reason: 'logout' });
  await watcher.hears(late, (change) => change.lastSeen === null);
  expect((await rest(rollcall.url, 'GET', `/users/${late}/status`, { token: host })).status).toBe(404);
  expect(await rollcall.redis.exists(rollcall.key(`user:sessions:${late}`))).toBe(0);
  expect(watcher.statuses(late)).toEqual(['active', 'inactive']);
  watcher.leave();
});

test('an erasure whose worker dies is finished by the next worker, without being asked for again', async () => {
  const userId = 'orphan:erased';
  const watcher = await TestClient.connect(rollcall.url, 'mourner', { watch: [userId] });
  const socket = await TestClient.connect(rollcall.web(1).url, userId);
  await watcher.hears(userId, isActive);
  const known = () => rollcall.db('users').where({ id: userId }).first();
  await eventually(known, (row) => row?.status === 'active', 10_000);
  for (const worker of rollcall.workers) worker.kill('SIGSTOP');
  // It cannot be promised that it is done, but it stands in the outbox.
  expect((await rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host })).status).toBe(503);
  expect(await known()).toMatchObject({ id: userId });
  await Promise.all(rollcall.workers.map((worker) => worker.end()));
  await rollcall.addWorker();
  await eventually(known, (row) => row === undefined, 10_000);
  await watcher.hears(userId, (change) => isInactive(change) && change.lastSeen === null);
  expect(await socket.isClosed()).toMatchObject({ reason: 'logout' });
  watcher.leave();
});

test('an erasure that was asked for without PostgreSQL is not begun, and is done when it is asked for again', async () => {
  const userId = 'half:erased';
  await call('PUT', `/users/${userId}`, { displayName: 'Half' });
  await postgres.postgres.shutdown();
  expect((await rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host })).status).toBe(503);
  await postgres.postgres.start();
  const profile = await eventually(
    () => rest(rollcall.url, 'GET', `/users/${userId}`, { token: host }),
    ({ status }) => status !== 503,
    20_000,
  );
  expect(profile).toMatchObject({ status: 200, body: { displayName: 'Half' } });
  await eventually(
    async () => (await rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host })).status,
    // Nobody is left to be erased where a worker did it just after somebody stopped waiting for that.
    (status) => status === 204 || status === 404,
    20_000,
  );
  expect((await rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host })).status).toBe(404);
});
