import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { activityByDay } from '../../src/postgres/activity.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;
let serial = 0;

beforeAll(async () => {
  stores = await openTestStores('activity');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const NOW = '2026-01-31T12:00:00.000Z';
const HOUR = 3600;

type Row = [at: string, status: 'active' | 'inactive', lastSeen?: string | null];

/** Somebody with this history; times without a date are of the last day. */
async function somebody(...rows: Row[]): Promise<string> {
  const userId = `user-${serial++}`;
  const moment = (text: string) => new Date(text.includes('T') ? `${text}Z` : `2026-01-31T${text}Z`);
  await db('users').insert({ id: userId });
  for (const [at, status, lastSeen = at] of rows) {
    await db('status_transitions').insert({
      user_id: userId,
      version: moment(at).getTime(),
      at: moment(at),
      status,
      cause: status === 'active' ? 'connect' : 'timeout',
      last_seen: lastSeen === null ? null : moment(lastSeen),
    });
  }
  return userId;
}

/** Seconds by day, today last. */
async function secondsOf(userId: string, days: number, now = NOW): Promise<number[]> {
  const activity = await activityByDay(db, userId, Date.parse(now), days);
  return activity.map((day) => day.activeSeconds);
}

test('every day is there, today last, in UTC', async () => {
  const userId = await somebody();
  expect(await activityByDay(db, userId, Date.parse(NOW), 3)).toEqual([
    { date: '2026-01-29', activeSeconds: 0 },
    { date: '2026-01-30', activeSeconds: 0 },
    { date: '2026-01-31', activeSeconds: 0 },
  ]);
  const leap = await activityByDay(db, userId, Date.parse('2024-03-01T00:00:00.000Z'), 2);
  expect(leap.map((day) => day.date)).toEqual(['2024-02-29', '2024-03-01']);
  expect(await activityByDay(db, userId, Date.parse(NOW), 365)).toHaveLength(365);
});

test('stretches of one day add up', async () => {
  const userId = await somebody(
    ['08:00', 'active'],
    ['08:30', 'inactive'],
    ['10:00', 'active'],
    ['10:00:20', 'inactive'],
  );
  expect(await secondsOf(userId, 1)).toEqual([HOUR / 2 + 20]);
});

test('a stretch over midnight is divided between the days, one over several fills those between', async () => {
  const userId = await somebody(['2026-01-28T23:00', 'active'], ['2026-01-31T01:30', 'inactive']);
  expect(await secondsOf(userId, 5)).toEqual([0, HOUR, 24 * HOUR, 24 * HOUR, 1.5 * HOUR]);
});

test('what began before the first day counts from its beginning on', async () => {
  const userId = await somebody(
    ['2026-01-01T10:00', 'active'],
    ['2026-01-01T11:00', 'inactive'],
    ['2026-01-02T10:00', 'active'],
    ['2026-01-30T06:00', 'inactive'],
  );
  expect(await secondsOf(userId, 2)).toEqual([6 * HOUR, 0]);
});

test('who is active by the last transition is so until now, and not beyond', async () => {
  const userId = await somebody(['2026-01-30T22:00', 'active']);
  expect(await secondsOf(userId, 2)).toEqual([2 * HOUR, 12 * HOUR]);
  expect(await secondsOf(userId, 1, '2026-01-30T21:00:00.000Z'), 'by a clock that is behind').toEqual([0]);
});

test('a stretch ends with the last sign of life, not when silence was noticed', async () => {
  const userId = await somebody(
    ['08:00', 'active'],
    ['08:31', 'inactive', '08:30'],
    ['09:00', 'active'],
    // A sign of life from before: nothing was heard at all.
    ['09:01', 'inactive', '08:59:59'],
    ['10:00', 'active'],
    ['10:10', 'inactive', null],
  );
  expect(await secondsOf(userId, 1)).toEqual([HOUR / 2 + 600]);
});

test('where one end of a stretch is missing, it counts for nothing', async () => {
  const twice = await somebody(['08:00', 'active'], ['09:00', 'active'], ['09:10', 'inactive']);
  expect(await secondsOf(twice, 1)).toEqual([600]);
  const end = await somebody(['08:00', 'inactive'], ['09:00', 'inactive'], ['10:00', 'active'], ['10:10', 'inactive']);
  expect(await secondsOf(end, 1)).toEqual([600]);
});

test('others have no part in it', async () => {
  await somebody(['08:00', 'active']);
  expect(await secondsOf(await somebody(), 1)).toEqual([0]);
  expect(await secondsOf('never-heard-of', 1)).toEqual([0]);
});
