import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordChanges } from '../../src/postgres/history.ts';
import { touchLastSeen } from '../../src/postgres/users.ts';
import { openSocialWorld, refused, type SocialWorld } from './social-world.ts';

let world: SocialWorld;
beforeAll(async () => {
  world = await openSocialWorld('social profiles');
});
afterAll(() => world?.close());

const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const nameless = { displayName: null, avatarUrl: null, createdAt: moment };

test('a profile is made by saying something of somebody, and keeps what is not said', async () => {
  expect(refused(await world.as('ada', 'GET', '/users/ada'))).toEqual([404, 'USER_NOT_FOUND']);
  const empty = { userId: 'ada', ...nameless, lastSeen: null };
  expect(await world.as('ada', 'PUT', '/users/ada', {})).toEqual([200, empty]);
  const named = { ...empty, displayName: 'Ada Łovelace 💫' };
  expect(await world.as('ada', 'PUT', '/users/ada', { displayName: 'Ada Łovelace 💫' })).toEqual([200, named]);
  const avatarUrl = 'https://example.com/ada.png?size=96';
  expect(await world.host('PUT', '/users/ada', { avatarUrl })).toEqual([200, { ...named, avatarUrl }]);
  expect(await world.as('ada', 'GET', '/users/ada')).toEqual([200, { ...named, avatarUrl }]);
  expect(await world.as('ada', 'PUT', '/users/ada', { displayName: null })).toEqual([200, { ...empty, avatarUrl }]);
  expect(await world.as('ada', 'PUT', '/users/ada', { displayName: '', avatarUrl: null })).toEqual([200, empty]);
});

test('last seen is what Redis knows, and the day of the first hearing stays', async () => {
  await world.stores.db('users').insert({ id: 'bob', created_at: '2024-02-29T12:00:00.123Z' });
  await touchLastSeen(world.stores.db, [{ userId: 'bob', lastSeen: 1_732_441_234_567 }]);
  const before = { userId: 'bob', ...nameless, createdAt: '2024-02-29T12:00:00.123Z' };
  const seen = '2024-11-24T09:40:34.567Z';
  expect(await world.host('GET', '/users/bob')).toEqual([200, { ...before, lastSeen: seen }]);
  await world.comes('bob');
  const [, now] = await world.host('GET', '/users/bob');
  expect(now).toEqual({ ...before, lastSeen: moment });
  expect((now as { lastSeen: string }).lastSeen > seen).toBe(true);
});

test('somebody who came a moment ago has a profile before PostgreSQL has heard of them', async () => {
  await world.comes('cid');
  expect(await world.as('cid', 'GET', '/users/cid')).toEqual([200, { userId: 'cid', ...nameless, lastSeen: moment }]);
});

test('while appearing inactive the last seen stands still, in the profile too', async () => {
  await world.comes('dan');
  const [, hidden] = await world.as('dan', 'POST', '/users/status', { status: 'inactive' });
  const { lastSeen } = hidden as { lastSeen: string };
  await world.presence.logOut('dan', 'dan-phone', null);
  expect(await world.as('dan', 'GET', '/users/dan')).toMatchObject([200, { lastSeen }]);
});

test('a name from a token is shown whatever its length, and never stands in for one that was chosen', async () => {
  const change = { userId: 'eve', status: 'active', lastSeen: 1, version: 1, at: 1, cause: 'connect' } as const;
  const entry = { change, clearsHidden: false, transition: true };
  const name = 'E'.repeat(200);
  await recordChanges(world.stores.db, [{ ...entry, claims: { name, picture: 'not an address' } }]);
  expect(await world.as('eve', 'GET', '/users/eve')).toMatchObject([
    200,
    { displayName: name, avatarUrl: 'not an address' },
  ]);
  await world.as('eve', 'PUT', '/users/eve', { displayName: 'Eve' });
  await recordChanges(world.stores.db, [{ ...entry, claims: { name } }]);
  expect(await world.as('eve', 'GET', '/users/eve')).toMatchObject([200, { displayName: 'Eve' }]);
});

test.each([
  ['a name of more than 100 characters', { displayName: 'x'.repeat(101) }],
  ['a name of two lines', { displayName: 'Ada\nLovelace' }],
  ['a name that is a number', { displayName: 7 }],
  ['a picture that is a script', { avatarUrl: 'javascript:alert(1)' }],
  ['a picture in the page itself', { avatarUrl: 'data:image/png;base64,AA==' }],
  ['a picture at no address', { avatarUrl: 'https://' }],
  ['a picture at an address of two lines', { avatarUrl: 'https://example.com/a\nb' }],
  ['a picture at an address with a space before it', { avatarUrl: ' https://example.com/a' }],
  ['a picture at an endless address', { avatarUrl: `https://example.com/${'a'.repeat(2048)}` }],
  ['no address at all', { avatarUrl: '' }],
  ['a list', []],
])('%s is refused', async (_, payload) => {
  expect(refused(await world.as('fay', 'PUT', '/users/fay', payload))).toEqual([400, 'INVALID_REQUEST']);
  expect(refused(await world.host('GET', '/users/fay'))).toEqual([404, 'USER_NOT_FOUND']);
});
