import { afterAll, beforeAll, expect, test } from 'vitest';
import { untoldChanges } from '../../src/postgres/privacy-changes.ts';
import { block, changeSettings } from '../../src/postgres/social.ts';
import { OPEN } from '../../src/presence/visibility.ts';
import { openSocialWorld, refused, type SocialWorld } from './social-world.ts';

let world: SocialWorld;
beforeAll(async () => {
  world = await openSocialWorld('social privacy');
});
afterAll(() => world?.close());

const open = { ...OPEN, alertFriends: true };
const statusOf = async (viewer: string, userId: string) =>
  (await world.as(viewer, 'GET', `/users/${userId}/status`))[1];
const away = (userId: string) => ({ userId, status: 'inactive', lastSeen: null });
const active = (userId: string) => ({ userId, status: 'active', lastSeen: expect.stringMatching(/Z$/) });
const waiting = async () => (await untoldChanges(world.stores.db, 0, 100)).map((change) => change.userId);
/** As if the change had been made some seconds ago. */
const waitFor = (seconds: number, column = 'made_at') =>
  world.stores.db.raw(`UPDATE privacy_changes SET ${column} = ${column} - interval '${seconds} seconds'`);

test('settings are open from the start, and change by the key', async () => {
  expect(await world.as('ada', 'GET', '/users/ada/settings')).toEqual([200, open]);
  const put = (body: object) => world.as('ada', 'PUT', '/users/ada/settings', body);
  expect(await put({ visibility: 'friends' })).toEqual([200, { ...open, visibility: 'friends' }]);
  expect(await put({ alertFriends: false })).toEqual([200, { ...open, visibility: 'friends', alertFriends: false }]);
  const all = { ...OPEN, lastSeenVisibility: 'nobody', lastSeenPrecision: 'coarse', alertFriends: true };
  expect(await put({ ...all, color: 'green' })).toMatchObject([400, { code: 'INVALID_REQUEST' }]);
  expect(await put({ ...all, alertFriends: null })).toEqual([200, { ...all, alertFriends: false }]);
  expect(await put(all)).toEqual([200, all]);
  expect(await world.host('GET', '/users/ada/settings')).toEqual([200, all]);
});

test('what a user allows holds from the moment of the answer', async () => {
  await world.comes('bob');
  const allow = async (settings: object) => {
    await world.as('bob', 'PUT', '/users/bob/settings', settings);
    return statusOf('viewer', 'bob');
  };
  expect(await allow({ visibility: 'nobody' })).toEqual(away('bob'));
  expect(await statusOf('bob', 'bob')).toEqual(active('bob'));
  expect(await allow({ visibility: 'everyone', lastSeenVisibility: 'nobody' })).toEqual({
    ...active('bob'),
    lastSeen: null,
  });
  expect(await allow({ lastSeenVisibility: 'everyone' })).toEqual(active('bob'));
  expect(await waiting()).not.toContain('bob');
});

test('who lets others know the last seen coarsely is told of in days, by every question, and sees it exactly', async () => {
  const DAY_MS = 86_400_000;
  for (const [userId, daysAgo] of Object.entries({ today: 0, lately: 5, once: 20, ever: 400 })) {
    const lastSeen = new Date(Date.now() - daysAgo * DAY_MS);
    await world.stores.db('users').insert({ id: userId, last_seen: lastSeen });
    await world.host('PUT', `/users/${userId}/settings`, { lastSeenPrecision: 'coarse' });
    await world.host('PUT', `/users/${userId}/friends/viewer`);
    expect(await statusOf(userId, userId)).toEqual({ ...away(userId), lastSeen: lastSeen.toISOString() });
  }
  const within = { today: 'day', lately: 'week', once: 'month', ever: 'long_ago' };
  const expected = Object.entries(within).map(([userId, lastSeenWithin]) => ({ ...away(userId), lastSeenWithin }));
  for (const told of expected) expect(await statusOf('viewer', told.userId)).toEqual(told);
  const userIds = Object.keys(within);
  const [, asked] = await world.as('viewer', 'POST', '/users/status/query', { userIds });
  expect(asked).toEqual({ users: expected });
  const [, listed] = await world.as('viewer', 'GET', '/users/viewer/friends');
  const friends = expected.map((told) => ({ ...told, alert: 'never' }));
  expect(listed).toEqual({ friends: friends.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)) });
  const { users } = await world.presence.reads.snapshot(userIds, 'viewer');
  expect(users.toSorted((a, b) => userIds.indexOf(a.userId) - userIds.indexOf(b.userId))).toEqual(
    expected.map((told) => ({ ...told, version: 0 })),
  );
  expect((await world.host('GET', '/users/ever/status'))[1]).not.toHaveProperty('lastSeenWithin');
  // Whoever may not know even that is told nothing; nor is anybody of who is here, or never came.
  await world.host('PUT', '/users/ever/settings', { lastSeenVisibility: 'nobody' });
  expect(await statusOf('viewer', 'ever')).toEqual(away('ever'));
  await world.host('PUT', '/users/never/settings', { lastSeenPrecision: 'coarse' });
  expect(await statusOf('viewer', 'never')).toEqual(away('never'));
  await world.comes('today');
  expect(await statusOf('viewer', 'today')).toEqual({ ...active('today'), lastSeen: null });
});

test('who changes their settings many times side by side gets an answer to each, and what PostgreSQL has in the end holds', async () => {
  await world.comes('gil');
  const toggle = async (from: number) => {
    const answers: number[] = [];
    for (let n = 0; n < 15; n++) {
      const visibility = (from + n) % 2 === 0 ? 'everyone' : 'nobody';
      answers.push((await world.as('gil', 'PUT', '/users/gil/settings', { visibility }))[0]);
    }
    return answers;
  };
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => toggle(n)));
  expect(new Set(answers.flat())).toEqual(new Set([200]));
  const [, settings] = await world.as('gil', 'GET', '/users/gil/settings');
  const shown = (settings as typeof open).visibility === 'everyone' ? active('gil') : away('gil');
  expect(await statusOf('viewer', 'gil')).toEqual(shown);
});

test('a block hides each from the other, and is listed where it was made', async () => {
  await world.comes('cid');
  await world.comes('dan');
  expect(await world.as('cid', 'PUT', '/users/cid/blocks/dan')).toEqual([204, null]);
  expect(await world.as('cid', 'PUT', '/users/cid/blocks/dan')).toEqual([204, null]);
  expect([await statusOf('cid', 'dan'), await statusOf('dan', 'cid')]).toEqual([away('dan'), away('cid')]);
  expect(await world.as('cid', 'GET', '/users/cid/blocks')).toEqual([200, { blocks: [{ userId: 'dan' }] }]);
  expect(await world.as('dan', 'GET', '/users/dan/blocks')).toEqual([200, { blocks: [] }]);
  // Who is blocked cannot end it from their side.
  expect(await world.as('dan', 'DELETE', '/users/dan/blocks/cid')).toEqual([204, null]);
  expect(await statusOf('dan', 'cid')).toEqual(away('cid'));
  expect(await world.as('cid', 'DELETE', '/users/cid/blocks/dan')).toEqual([204, null]);
  expect([await statusOf('cid', 'dan'), await statusOf('dan', 'cid')]).toEqual([active('dan'), active('cid')]);
});

test('somebody who never came can be blocked, and does not become known by it', async () => {
  expect(await world.host('PUT', '/users/eve/blocks/some:body')).toEqual([204, null]);
  expect(refused(await world.host('GET', '/users/some:body/status'))).toEqual([404, 'USER_NOT_FOUND']);
  expect(await world.host('GET', '/users/eve/blocks')).toEqual([200, { blocks: [{ userId: 'some:body' }] }]);
  await world.comes('some:body');
  expect(await statusOf('eve', 'some:body')).toEqual(away('some:body'));
  expect(await statusOf('zoe', 'some:body')).toEqual(active('some:body'));
});

test('a change that Redis was not told of is told by a worker', async () => {
  await world.comes('fay');
  await changeSettings(world.stores.db, 'fay', { visibility: 'nobody' });
  expect(await waiting()).toEqual(['fay']);
  // A web may still be at it.
  expect(await world.keeper.pass()).toEqual({ told: 0, confirmed: 0 });
  await waitFor(2);
  expect(await world.keeper.pass()).toEqual({ told: 1, confirmed: 0 });
  expect(await waiting()).toEqual([]);
  expect(await statusOf('viewer', 'fay')).toEqual(away('fay'));
  expect(await world.keeper.pass()).toEqual({ told: 0, confirmed: 0 });
});

test('what was told is told once more after a while, should Redis have forgotten, and then dropped', async () => {
  const { db } = world.stores;
  await world.keeper.pass();
  await db('privacy_changes').delete();
  await world.comes('gus');
  await world.as('gus', 'PUT', '/users/gus/settings', { visibility: 'nobody' });
  await waitFor(31, 'applied_at');
  expect(await world.keeper.pass()).toEqual({ told: 0, confirmed: 1 });
  expect(await db('privacy_changes')).toEqual([]);
  expect(await statusOf('viewer', 'gus')).toEqual(away('gus'));
});

test('a change of somebody who was erased meanwhile is dropped in the end', async () => {
  const { db } = world.stores;
  await block(db, 'hal', 'ida');
  await db('blocks').where({ user_id: 'hal' }).delete();
  await db('users').where({ id: 'ida' }).delete();
  await waitFor(2);
  expect(await world.keeper.pass()).toEqual({ told: 2, confirmed: 0 });
  await waitFor(31, 'applied_at');
  expect(await world.keeper.pass()).toEqual({ told: 0, confirmed: 2 });
});

test('while Redis is away a change is kept, answered with 503, and told once Redis is back', async () => {
  const { redis } = world.stores;
  await world.comes('jon');
  redis.disconnect();
  const put = { method: 'PUT', url: '/users/jon/settings', payload: { visibility: 'nobody' } } as const;
  const answer = await world.askWith('presence:write', put);
  expect([answer.statusCode, answer.json().code]).toEqual([503, 'UNAVAILABLE']);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  expect(await waiting()).toEqual(['jon']);
  await waitFor(2);
  await expect(world.keeper.pass()).rejects.toThrow();
  expect(await waiting()).toEqual(['jon']);
  await expect.poll(() => redis.status).toBe('end');
  await redis.connect();
  await expect.poll(() => redis.status).toBe('ready');
  expect(await world.keeper.pass()).toEqual({ told: 1, confirmed: 0 });
  expect(await statusOf('viewer', 'jon')).toEqual(away('jon'));
});

test('who asks again after a 503 needs no worker', async () => {
  const { redis } = world.stores;
  await world.comes('kay');
  redis.disconnect();
  expect(refused(await world.host('PUT', '/users/kay/blocks/leo'))).toEqual([503, 'UNAVAILABLE']);
  await expect.poll(() => redis.status).toBe('end');
  await redis.connect();
  await expect.poll(() => redis.status).toBe('ready');
  expect(await statusOf('leo', 'kay')).toEqual(active('kay'));
  expect(await world.host('PUT', '/users/kay/blocks/leo')).toEqual([204, null]);
  expect(await statusOf('leo', 'kay')).toEqual(away('kay'));
  expect(await waiting()).toEqual([]);
});

test('blocking oneself is refused, and so is befriending oneself', async () => {
  for (const url of ['/users/ada/blocks/ada', '/users/ada/friends/ada']) {
    expect(refused(await world.host('PUT', url))).toEqual([400, 'INVALID_REQUEST']);
  }
});
