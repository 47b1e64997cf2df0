import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { type OwnRedis, ownRedis } from '../support/stores.ts';

let redis: OwnRedis;
let rollcall: Deployment;
let reader: string;
let writer: string;

beforeAll(async () => {
  redis = await ownRedis();
  rollcall = await Deployment.start('analytics', { webs: 2, redisUrl: redis.url, env: CALM });
  reader = await tokenFor('reports', { scope: 'presence:read' });
  writer = await tokenFor('backend', { scope: 'presence:write' });
});
afterAll(async () => {
  await rollcall?.stop();
  await redis?.stop();
});

let turn = 0;
/** Asks one web, then the other. */
async function get(path: string, token = reader) {
  return rest(rollcall.web(turn++ % 2).url, 'GET', path, { token });
}
const answering = (path: string) =>
  eventually(
    () => get(path),
    ({ status }) => status === 200,
    20_000,
  );

interface Listed {
  userId: string;
  lastSeen: string;
}

async function everybody(limit: number): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const next = cursor === '' ? '' : `&cursor=${cursor}`;
    const { status, body } = await get(`/analytics/active-users?within=60&limit=${limit}${next}`);
    expect(status).toBe(200);
    listed.push(...body.users);
    cursor = body.nextCursor;
  }
  return listed;
}

const post = (body: unknown) => rest(rollcall.url, 'POST', '/users/status', { token: writer, body });
const counts = async () => {
  const { body } = await answering('/analytics/active?within=1,60');
  return { now: body.activeNow, within: body.within.map((each: { users: number }) => each.users) };
};
const isRecorded = (userId: string, count: number) =>
  eventually(
    async () => Number((await rollcall.db('status_transitions').where({ user_id: userId }).count())[0]?.count),
    (found) => found >= count,
  );

test('a store that knows of nobody yet says so, then counts who comes by any web', async () => {
  const { status, body, headers } = await get('/analytics/active');
  // Completed within seconds, perhaps by now.
  if (status !== 200) {
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'UNAVAILABLE', '5']);
  }
  await answering('/analytics/active');
  const ada = await TestClient.connect(rollcall.web(0).url, 'ada');
  const bob = await TestClient.connect(rollcall.web(1).url, 'bob');
  const second = await TestClient.connect(rollcall.web(1).url, 'ada');
  expect(await counts()).toEqual({ now: 2, within: [2, 2] });
  bob.leave();
  await eventually(counts, ({ now }) => now === 1);
  expect((await counts()).within).toEqual([2, 2]);
  ada.leave();
  second.leave();
  await eventually(counts, ({ now }) => now === 0);
});

test('who appears inactive is not active, and was last seen when that began', async () => {
  const eve = await TestClient.connect(rollcall.web(1).url, 'eve');
  const { body } = await post({ userId: 'eve', status: 'inactive' });
  await eve.beat();
  expect((await counts()).now).toBe(0);
  expect(await everybody(10)).toContainEqual({ userId: 'eve', lastSeen: body.lastSeen });
  await post({ userId: 'eve', status: 'active' });
  expect((await counts()).now).toBe(1);
  eve.leave();
});

test('who hides from everybody by their settings is counted all the same, and listed to services', async () => {
  const hidden = await TestClient.connect(rollcall.web(0).url, 'recluse');
  expect(
    (
      await rest(rollcall.url, 'PUT', '/users/recluse/settings', {
        token: await tokenFor('recluse'),
        body: { visibility: 'nobody', lastSeenVisibility: 'nobody' },
      })
    ).status,
  ).toBe(200);
  const token = await tokenFor('backend', { scope: 'presence:read' });
  const listed = await eventually(
    async () => (await rest(rollcall.url, 'GET', '/analytics/active-users?within=1&limit=1000', { token })).body,
    ({ users }) => users.some((user: { userId: string }) => user.userId === 'recluse'),
  );
  expect(listed.users.find((user: { userId: string }) => user.userId === 'recluse').lastSeen).toEqual(
    expect.any(String),
  );
  const stranger = { token: await tokenFor('stranger') };
  expect((await rest(rollcall.url, 'GET', '/analytics/active-users?within=1', stranger)).status).toBe(403);
  hidden.leave();
});

test('who logged out stays listed with their last seen, though nothing is cached of them', async () => {
  const fay = await TestClient.connect(rollcall.web(0).url, 'fay');
  await fay.socket.emitWithAck('logout', {});
  await eventually(
    () => rollcall.redis.exists(rollcall.key('user:last_seen:fay')),
    (found) => found === 0,
  );
  const row = await rollcall.db('users').where({ id: 'fay' }).first();
  expect(await everybody(10)).toContainEqual({ userId: 'fay', lastSeen: row.last_seen.toISOString() });
});

test('users come page by page from whichever web is asked, newest first, whoever moves meanwhile at most once', async () => {
  for (let n = 0; n < 25; n++) await post({ userId: `p-${n}`, status: 'active' });
  const listed = await everybody(4);
  const seen = listed.map((each) => each.lastSeen);
  expect(seen).toEqual(seen.toSorted().toReversed());
  expect(listed.length).toBeGreaterThanOrEqual(25);
  expect(new Set(listed.map((each) => each.userId)).size).toBe(listed.length);
  const first = await get('/analytics/active-users?within=60&limit=5');
  await post({ userId: 'p-0', status: 'active' });
  const others = await get(`/analytics/active-users?within=60&limit=1000&cursor=${first.body.nextCursor}`);
  const both = [...first.body.users, ...others.body.users].map((each: Listed) => each.userId);
  expect(both.toSorted()).toEqual(
    listed
      .map((each) => each.userId)
      .filter((userId) => userId !== 'p-0')
      .toSorted(),
  );
  expect(others.body.nextCursor).toBeNull();
});

test('a user reads when they came and went, in pages, and how long they were here', async () => {
  const gus = await tokenFor('gus');
  const at = async (path: string) => (await get(`/users/gus/${path}`, gus)).body;
  expect(await at('history')).toMatchObject({ statusCode: 404, code: 'USER_NOT_FOUND' });
  expect(await at('activity')).toMatchObject({ statusCode: 404, code: 'USER_NOT_FOUND' });
  const client = await TestClient.connect(rollcall.web(0).url, 'gus');
  expect((await get('/users/gus/history', gus)).status, 'known from the first moment on').toBe(200);
  client.leave();
  await isRecorded('gus', 2);
  const { transitions, nextCursor } = await at('history');
  expect(nextCursor).toBeNull();
  expect(transitions).toMatchObject([
    { status: 'inactive', cause: 'disconnect' },
    { status: 'active', cause: 'connect' },
  ]);
  expect(Object.keys(transitions[0]).toSorted()).toEqual(['at', 'cause', 'lastSeen', 'status', 'version']);
  const first = await at('history?limit=1');
  const second = await at(`history?limit=1&cursor=${first.nextCursor}`);
  expect([...first.transitions, ...second.transitions]).toEqual(transitions);
  expect(second.nextCursor).toBeNull();
  expect((await at(`history?from=${transitions[0].at}`)).transitions).toEqual(transitions.slice(0, 1));
  expect((await at(`history?to=${transitions[0].at}`)).transitions).toEqual(transitions.slice(1));

  const begun = Date.now() - 2 * 24 * 3_600_000;
  await rollcall.db('status_transitions').insert(
    ['active', 'inactive'].map((status, n) => {
      const moment = new Date(begun + n * 60_000);
      return { user_id: 'gus', version: begun + n * 60_000, at: moment, status, cause: 'connect', last_seen: moment };
    }),
  );
  const { days } = await at('activity?days=4');
  expect(days).toHaveLength(4);
  expect(days.at(-1).date).toBe(new Date().toISOString().slice(0, 10));
  const total = days.reduce((sum: number, day: { activeSeconds: number }) => sum + day.activeSeconds, 0);
  expect(total).toBeGreaterThanOrEqual(60);
  expect(total).toBeLessThan(180);
});

test('the timeline has the minutes in which a worker ran, with who came and went', async () => {
  await isRecorded('ada', 2);
  // A minute is noted twice, half a minute apart.
  await eventually(
    async () => (await get('/analytics/timeline')).body,
    ({ points }) => points.some((point: { active: number | null }) => point.active !== null),
    45_000,
  );
  // What is recorded between the two questions is in one of the answers only.
  const { points } = await eventually(
    async () => {
      const { points } = (await get('/analytics/timeline')).body;
      const [recorded] = await rollcall
        .db('status_transitions')
        .where('at', '>', new Date(Date.now() - 3_600_000))
        .count();
      return { points, recorded: Number(recorded?.count) };
    },
    ({ points, recorded }) =>
      points.reduce((sum: number, point: { transitions: number }) => sum + point.transitions, 0) === recorded,
  );
  for (const { at } of points) expect(at).toMatch(/:00\.000Z$/);
});

test('after the loss of Redis nobody is told a number until PostgreSQL has told of everybody', async () => {
  const hal = await TestClient.connect(rollcall.web(0).url, 'hal');
  const gone = (await everybody(1000)).filter((each) => ['ada', 'bob', 'eve', 'fay', 'gus'].includes(each.userId));
  expect(gone).toHaveLength(5);
  for (const { userId, lastSeen } of gone) {
    await eventually(
      async () => (await rollcall.db('users').where({ id: userId }).first())?.last_seen?.toISOString(),
      (found) => found === lastSeen,
    );
  }
  await rollcall.redis.flushall();
  for (const path of ['/analytics/active', '/analytics/active-users']) {
    expect((await get(path)).body).toMatchObject({ statusCode: 503, code: 'UNAVAILABLE' });
  }
  const { body } = await answering('/analytics/active?within=60');
  expect(body.activeNow, 'those who posted are gone with Redis').toBe(1);
  const listed = await everybody(1000);
  expect(listed).toEqual(expect.arrayContaining(gone));
  expect(listed.map((each) => each.userId)).toContain('hal');
  expect(rollcall.faults).toEqual([]);
  hal.leave();
});
