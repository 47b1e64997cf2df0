import { afterAll, beforeAll, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/** An erasure is made in Redis first, and by a worker in PostgreSQL a moment later. */
let rollcall: Deployment;
let host: string;

beforeAll(async () => {
  rollcall = await Deployment.start('erased meanwhile', { env: CALM });
  host = await tokenFor('host', { scope: 'presence:read presence:write' });
});
afterAll(() => rollcall?.stop());

async function call(method: string, path: string, body?: object, token = host) {
  const answer = await rest(rollcall.url, method, path, { token, ...(body ? { body } : {}) });
  expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
}
const rowsOf = (userId: string) => rollcall.db('users').where({ id: userId });

const neighbourOf = (userId: string) =>
  Array.from({ length: 1000 }, (_, n) => `beside-${userId}-${n}`).find((id) => shardOf(id) === shardOf(userId)) ?? '';

const between: Record<string, (userId: string) => Promise<void>> = {
  'who may see them': (userId) => call('PUT', `/users/${userId}/settings`, { visibility: 'nobody' }),
  'that they appear inactive': async (userId) =>
    call('POST', '/users/status', { status: 'inactive' }, await tokenFor(userId, { name: 'Of Before' })),
  'that they sign out': async (userId) => call('POST', '/users/logout', {}, await tokenFor(userId)),
  'that somebody blocks them': (userId) => call('PUT', `/users/enemy/blocks/${userId}`),
};

test.each(Object.keys(between))('%s, said between the two steps of an erasure, brings nobody back', async (what) => {
  const userId = `gone-${Object.keys(between).indexOf(what)}`;
  const watcher = await TestClient.connect(rollcall.url, `watcher-of-${userId}`, { watch: [userId] });
  const socket = await TestClient.connect(rollcall.url, userId);
  await eventually(
    () => rowsOf(userId).first(),
    (row) => row?.status === 'active',
  );
  for (const worker of rollcall.workers) worker.kill('SIGSTOP');
  const erasing = rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host });
  await eventually(
    () => rollcall.redis.exists(rollcall.key(`user:sessions:${userId}`)),
    (there) => there === 0,
  );
  await between[what]?.(userId).finally(() => {
    for (const worker of rollcall.workers) worker.kill('SIGCONT');
  });
  await erasing;
  await watcher.hears(userId, ({ lastSeen, status }) => status === 'inactive' && lastSeen === null);
  // Whoever comes later in the same shard is recorded behind all of it.
  const neighbour = await TestClient.connect(rollcall.url, neighbourOf(userId));
  await eventually(
    () => rowsOf(neighbourOf(userId)),
    (rows) => rows.length === 1,
  );
  expect(await rowsOf(userId)).toEqual([]);
  expect(watcher.of(userId).at(-1)).toMatchObject({ status: 'inactive', lastSeen: null });
  for (const client of [socket, neighbour, watcher]) client.leave();
});

const naming: Record<string, (userId: string) => Promise<void>> = {
  'a block': (userId) => call('PUT', `/users/enemy/blocks/${userId}`),
  'the members of a conversation': (userId) => call('PUT', `/conversations/hall/members/${userId}`),
};

test.each(Object.keys(naming))('somebody who never came, and whom %s names, is erased from there', async (what) => {
  const userId = `never-came-${Object.keys(naming).indexOf(what)}`;
  await naming[what]?.(userId);
  await call('DELETE', `/users/${userId}`);
  const tables = ['users', 'blocks', 'conversation_members'].map(async (table) => {
    const { rows } = await rollcall.db.raw(`SELECT t::text AS row FROM ${table} t WHERE position(? IN t::text) > 0`, [
      userId,
    ]);
    return rows;
  });
  expect((await Promise.all(tables)).flat()).toEqual([]);
  await eventually(
    () => rollcall.redis.hexists(rollcall.key('user:privacy:enemy'), `b:${userId}`),
    (there) => there === 0,
  );
  // Nothing names them any more.
  expect((await rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: host })).status).toBe(404);
});
