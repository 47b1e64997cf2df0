import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSocialWorld, refused, type SocialWorld } from './social-world.ts';

let world: SocialWorld;
beforeAll(async () => {
  world = await openSocialWorld('social friends');
});
afterAll(() => world?.close());

const away = { status: 'inactive', lastSeen: null };
const here = { status: 'active', lastSeen: expect.stringMatching(/Z$/) };

test('nobody has friends until the host application says so', async () => {
  expect(await world.as('ada', 'GET', '/users/ada/friends')).toEqual([200, { friends: [] }]);
  expect(await world.host('PUT', '/users/ada/friends/bob')).toEqual([204, null]);
  const bob = { userId: 'bob', ...away, alert: 'never' };
  expect(await world.as('ada', 'GET', '/users/ada/friends')).toEqual([200, { friends: [bob] }]);
  expect(await world.host('GET', '/users/bob/friends')).toEqual([
    200,
    { friends: [{ userId: 'ada', ...away, alert: 'never' }] },
  ]);
});

test('befriending makes unknown ids known users who never came, and is nothing the second time', async () => {
  expect(refused(await world.as('ada', 'GET', '/users/newcomer/status'))).toEqual([404, 'USER_NOT_FOUND']);
  for (let n = 0; n < 2; n++) expect(await world.host('PUT', '/users/other/friends/newcomer')).toEqual([204, null]);
  expect(await world.as('ada', 'GET', '/users/newcomer/status')).toEqual([200, { userId: 'newcomer', ...away }]);
});

test('a friend who is here is active in the list, and the list is in the order of ids', async () => {
  for (const friend of ['zoe', 'Ann', 'kim']) await world.host('PUT', `/users/cid/friends/${friend}`);
  await world.comes('kim');
  expect(await world.as('cid', 'GET', '/users/cid/friends')).toEqual([
    200,
    {
      friends: [
        { userId: 'Ann', ...away, alert: 'never' },
        { userId: 'kim', ...here, alert: 'never' },
        { userId: 'zoe', ...away, alert: 'never' },
      ],
    },
  ]);
});

test('the list shows what the user may see, also to a service that sees more', async () => {
  await world.host('PUT', '/users/dan/friends/shy');
  await world.host('PUT', '/users/dan/friends/silent');
  await world.comes('shy');
  await world.comes('silent');
  await world.as('shy', 'PUT', '/users/shy/settings', { visibility: 'nobody' });
  await world.as('silent', 'PUT', '/users/silent/settings', { lastSeenVisibility: 'nobody' });
  const friends = [
    { userId: 'shy', ...away, alert: 'never' },
    { userId: 'silent', status: 'active', lastSeen: null, alert: 'never' },
  ];
  expect(await world.as('dan', 'GET', '/users/dan/friends')).toEqual([200, { friends }]);
  expect(await world.host('GET', '/users/dan/friends')).toEqual([200, { friends }]);
  expect(await world.host('GET', '/users/shy/status')).toEqual([200, { userId: 'shy', ...here }]);
});

test('an alert is asked for by one of two, and only among friends', async () => {
  await world.host('PUT', '/users/eve/friends/fay');
  expect(await world.as('eve', 'PATCH', '/users/eve/friends/fay', { alert: 'once' })).toEqual([204, null]);
  const [, list] = await world.as('eve', 'GET', '/users/eve/friends');
  expect(list).toEqual({ friends: [{ userId: 'fay', ...away, alert: 'once' }] });
  expect(await world.as('fay', 'GET', '/users/fay/friends')).toMatchObject([200, { friends: [{ alert: 'never' }] }]);
  for (const stranger of ['gus', 'eve']) {
    const refusal = await world.as('eve', 'PATCH', `/users/eve/friends/${stranger}`, { alert: 'always' });
    expect(refused(refusal)).toEqual([404, 'USER_NOT_FOUND']);
    expect(refusal[1]).toMatchObject({ message: 'These two are not friends.' });
  }
});

test('either of two ends a friendship for both, and ending none is no trouble', async () => {
  await world.host('PUT', '/users/hal/friends/ida');
  expect(await world.as('ida', 'DELETE', '/users/ida/friends/hal')).toEqual([204, null]);
  expect(await world.as('hal', 'GET', '/users/hal/friends')).toEqual([200, { friends: [] }]);
  expect(await world.as('ida', 'DELETE', '/users/ida/friends/hal')).toEqual([204, null]);
  expect(await world.as('ida', 'DELETE', '/users/ida/friends/ida')).toEqual([204, null]);
});

test('friends come into sight with the friendship and lose it with its end', async () => {
  await world.comes('jon');
  await world.as('jon', 'PUT', '/users/jon/settings', { visibility: 'friends' });
  const seen = async () => (await world.as('kay', 'GET', '/users/jon/status'))[1];
  expect(await seen()).toEqual({ userId: 'jon', ...away });
  await world.host('PUT', '/users/kay/friends/jon');
  expect(await seen()).toEqual({ userId: 'jon', ...here });
  await world.as('kay', 'DELETE', '/users/kay/friends/jon');
  expect(await seen()).toEqual({ userId: 'jon', ...away });
});

test('more friends than a query may name are listed all the same', async () => {
  const { db } = world.stores;
  await db.raw(`INSERT INTO users (id) SELECT 'crowd-' || n FROM generate_series(1, 1200) n`);
  await db.raw(
    `INSERT INTO friendships (user_id, friend_id) SELECT 'popular', 'crowd-' || n FROM generate_series(1, 1200) n`,
  );
  const [status, body] = await world.as('popular', 'GET', '/users/popular/friends');
  const { friends } = body as { friends: { userId: string }[] };
  expect([status, friends.length, new Set(friends.map((friend) => friend.userId)).size]).toEqual([200, 1200, 1200]);
});
