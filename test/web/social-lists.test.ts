import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_BLOCKS, MAX_FRIENDS } from '../../src/postgres/social.ts';
import { openSocialWorld, refused, type SocialWorld } from './social-world.ts';

let world: SocialWorld;
beforeAll(async () => {
  world = await openSocialWorld('social lists');
});
afterAll(() => world?.close());

interface Page {
  blocks?: { userId: string }[];
  friends?: { userId: string }[];
  nextCursor?: string | null;
}

/** Follows `nextCursor` to the end. */
async function walk(url: string, limit: number): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let cursor: string | null | undefined;
  let pages = 0;
  do {
    const [status, body] = await world.as('ada', 'GET', `${url}?limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`);
    expect(status).toBe(200);
    const page = body as Page;
    ids.push(...(page.blocks ?? page.friends ?? []).map(({ userId }) => userId));
    cursor = page.nextCursor;
    expect(cursor).not.toBeUndefined();
    pages++;
  } while (cursor !== null);
  return { ids, pages };
}

test('blocks come all at once, as before, or a page at a time', async () => {
  for (const id of ['b1', 'b2', 'b3', 'b4', 'b5']) await world.as('ada', 'PUT', `/users/ada/blocks/${id}`);
  const all = [{ userId: 'b1' }, { userId: 'b2' }, { userId: 'b3' }, { userId: 'b4' }, { userId: 'b5' }];
  expect(await world.as('ada', 'GET', '/users/ada/blocks')).toEqual([200, { blocks: all }]);
  expect(await walk('/users/ada/blocks', 2)).toEqual({ ids: ['b1', 'b2', 'b3', 'b4', 'b5'], pages: 3 });
  // A last page that is full leads to no empty one.
  expect(await walk('/users/ada/blocks', 5)).toMatchObject({ pages: 1 });
  expect(await walk('/users/ada/blocks', 1000)).toEqual({ ids: ['b1', 'b2', 'b3', 'b4', 'b5'], pages: 1 });
  expect(refused(await world.as('ada', 'GET', '/users/ada/blocks?cursor=garbled'))).toEqual([400, 'INVALID_REQUEST']);
  expect(refused(await world.as('ada', 'GET', '/users/ada/blocks?limit=0'))).toEqual([400, 'INVALID_REQUEST']);
});

test('friends come all at once, as before, or a page at a time', async () => {
  for (const id of ['f1', 'f2', 'f3']) await world.host('PUT', `/users/ada/friends/${id}`);
  const [, body] = await world.as('ada', 'GET', '/users/ada/friends');
  expect(Object.keys(body as object)).toEqual(['friends']);
  expect((body as Page).friends).toHaveLength(3);
  expect(await walk('/users/ada/friends', 3)).toMatchObject({ pages: 1 });
  expect(await walk('/users/ada/friends', 2)).toEqual({ ids: ['f1', 'f2', 'f3'], pages: 2 });
});

test('a block too many is refused with what to do, and a block less makes room', async () => {
  const { db } = world.stores;
  await world.as('cap', 'PUT', '/users/cap/blocks/first');
  await db.raw(`INSERT INTO blocks (user_id, blocked_id) SELECT 'cap', 'cap-' || n FROM generate_series(2, ?::int) n`, [
    MAX_BLOCKS,
  ]);
  expect(refused(await world.as('cap', 'PUT', '/users/cap/blocks/last'))).toEqual([409, 'TOO_MANY_BLOCKS']);
  expect(await world.as('cap', 'PUT', '/users/cap/blocks/first')).toEqual([204, null]);
  expect(await world.as('cap', 'DELETE', '/users/cap/blocks/first')).toEqual([204, null]);
  expect(await world.as('cap', 'PUT', '/users/cap/blocks/last')).toEqual([204, null]);
});

test('too many friends are refused only where the settings ask for friends', async () => {
  const { db } = world.stores;
  await db.raw(
    `INSERT INTO friendships (user_id, friend_id) SELECT 'pop', 'fan-' || n FROM generate_series(1, ?::int) n`,
    [MAX_FRIENDS + 1],
  );
  expect(refused(await world.as('pop', 'PUT', '/users/pop/settings', { visibility: 'friends' }))).toEqual([
    409,
    'TOO_MANY_FRIENDS',
  ]);
  expect(await world.host('PUT', '/users/pop/friends/fan-more')).toEqual([204, null]);
  await db.raw(`DELETE FROM friendships WHERE user_id = 'pop' AND friend_id IN ('fan-1', 'fan-2')`);
  expect((await world.as('pop', 'PUT', '/users/pop/settings', { lastSeenVisibility: 'friends' }))[0]).toBe(200);
  expect(refused(await world.host('PUT', '/users/pop/friends/one-too-many'))).toEqual([409, 'TOO_MANY_FRIENDS']);
});
