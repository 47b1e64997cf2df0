import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { Indicators } from '../../src/redis/indicators.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { Memberships } from '../../src/redis/memberships.ts';
import { openRoom, type Room } from '../properties/room.ts';
import { eventually } from '../support/deployment.ts';

const MINUTE_MS = 60_000;
let room: Room;
let memberships: Memberships;
let serial = 0;
let team = '';

beforeAll(async () => {
  room = await openRoom('memberships');
});
beforeEach(() => {
  team = `team:${serial++}`;
  memberships = open();
});
afterAll(() => room.close());

/** As another process sees them. */
function open(): Memberships {
  return new Memberships(room.redis, room.keys, new Indicators(room.redis, room.keys, new RedisClock()));
}

const until = async (userId: string) =>
  Number(await room.redis.zscore(room.keys.members(shardOf(team)), `${team} ${userId}`));

/** As if that were so much earlier. */
async function passes(ms: number): Promise<void> {
  for (const key of [room.keys.members(shardOf(team)), room.keys.removedMembers(shardOf(team))]) {
    for (const pair of await room.redis.zrange(key, '0', '-1')) await room.redis.zincrby(key, -ms, pair);
  }
}

async function listed(): Promise<string[]> {
  const found: string[] = [];
  for await (const page of memberships.kept()) found.push(...page.map((one) => `${one.conversationId} ${one.userId}`));
  return found.filter((pair) => pair.startsWith(`${team} `)).sort();
}

test('that somebody is a member counts for some minutes, for every process, and asking for it makes it no longer', async () => {
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  await memberships.keep(team, 'ada');
  const end = await until('ada');
  for (let n = 0; n < 3; n++) expect(await open().isKept(team, 'ada')).toBe(true);
  expect(await open().isKept(team, 'bob')).toBe(false);
  expect(await until('ada')).toBe(end);
  await passes(MINUTE_MS);
  expect(await memberships.isKept(team, 'ada')).toBe(true);
  await passes(4 * MINUTE_MS);
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  expect(await room.redis.pttl(room.keys.members(shardOf(team)))).toBeGreaterThan(0);
});

test('of who was removed nothing is kept, also not by somebody who asked PostgreSQL before', async () => {
  await memberships.keep(team, 'ada');
  await memberships.remove(team, 'ada');
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  await open().keep(team, 'ada');
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  // Added again by now: once no older answer can be on its way, it is kept again.
  await passes(MINUTE_MS / 2);
  await memberships.keep(team, 'ada');
  expect(await memberships.isKept(team, 'ada')).toBe(true);
});

test('what was kept before Redis was away counts no more for whoever noticed, and what is kept after it does', async () => {
  await memberships.keep(team, 'ada');
  memberships.distrust([shardOf(team)]);
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  expect(await open().isKept(team, 'ada')).toBe(true);
  await eventually(
    async () => {
      await memberships.keep(team, 'ada');
      return memberships.isKept(team, 'ada');
    },
    (kept) => kept,
    20_000,
  );
});

test('whom it let in a moment ago is listed too, and who was removed is not', async () => {
  for (const userId of ['ada', 'bob', 'cyd']) await memberships.keep(team, userId);
  await memberships.remove(team, 'bob');
  expect(await listed()).toEqual([`${team} ada`, `${team} cyd`]);
  await passes(3 * MINUTE_MS);
  expect(await memberships.isKept(team, 'ada')).toBe(false);
  await memberships.keep(team, 'dan');
  expect(await listed()).toEqual([`${team} ada`, `${team} cyd`, `${team} dan`]);
  await passes(2 * MINUTE_MS);
  await memberships.keep(team, 'dan');
  expect(await listed()).toEqual([`${team} dan`]);
});
