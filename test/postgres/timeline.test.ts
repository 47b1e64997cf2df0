import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { lastSeenPage, noteActive, timeline } from '../../src/postgres/analytics.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { type RecordedEntry, recordChanges, transitionsBefore } from '../../src/postgres/history.ts';
import { dropMinutes, dropTransitions } from '../../src/postgres/retention.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const noon = Date.UTC(2026, 0, 31, 12);

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('timeline');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

beforeEach(async () => {
  for (const table of ['presence_minutes', 'status_transitions', 'users']) await db(table).delete();
});

function entry(userId: string, at: number, status: 'active' | 'inactive' = 'active'): RecordedEntry {
  const cause = status === 'active' ? 'connect' : 'timeout';
  return { change: { userId, status, lastSeen: at, version: at, at, cause }, clearsHidden: false, transition: true };
}

const minutes = (from = noon, to = noon + 60 * MINUTE) => timeline(db, from, to, MINUTE);

test('a minute is counted once: the first that could tell stands', async () => {
  await noteActive(db, noon + 5000, 7);
  await noteActive(db, noon + 25_000, 9);
  expect(await minutes()).toEqual([{ at: noon, active: 7, transitions: 0 }]);
});

test('transitions are counted in the minute in which they were made, each once, however often they are written', async () => {
  const batch = [entry('ann', noon), entry('bob', noon + 59_999), entry('ann', noon + MINUTE, 'inactive')];
  await recordChanges(db, batch);
  await recordChanges(db, [...batch, entry('cid', noon + MINUTE)]);
  await recordChanges(db, [{ ...entry('dan', noon), transition: false }]);
  expect(await minutes()).toEqual([
    { at: noon, active: null, transitions: 2 },
    { at: noon + MINUTE, active: null, transitions: 2 },
  ]);
});

test('a minute that was counted takes in what is recorded late, and the other way round', async () => {
  await noteActive(db, noon, 3);
  await recordChanges(db, [entry('ann', noon), entry('bob', noon + MINUTE)]);
  await noteActive(db, noon + MINUTE, 4);
  expect(await minutes()).toEqual([
    { at: noon, active: 3, transitions: 1 },
    { at: noon + MINUTE, active: 4, transitions: 1 },
  ]);
});

test('many batches at once lose no transition', async () => {
  const batches = Array.from({ length: 12 }, (_, n) =>
    Array.from({ length: 20 }, (_, k) => entry(`user-${(n * 7 + k * 3) % 40}`, noon + (n % 3) * MINUTE + n * 100 + k)),
  );
  await Promise.all(batches.map((batch) => recordChanges(db, batch)));
  const total = (await minutes()).reduce((sum, point) => sum + point.transitions, 0);
  expect(total).toBe(240);
});

test('a step holds the most that were active at once and all that came or went; a gap is no zero', async () => {
  await noteActive(db, noon + MINUTE, 5);
  await noteActive(db, noon + 4 * MINUTE, 8);
  await noteActive(db, noon + 15 * MINUTE, 2);
  await recordChanges(db, [entry('ann', noon), entry('bob', noon + 3 * MINUTE)]);
  expect(await timeline(db, noon + 2 * MINUTE, noon + 20 * MINUTE, 5 * MINUTE), 'from the step of `from` on').toEqual([
    { at: noon, active: 8, transitions: 2 },
    { at: noon + 15 * MINUTE, active: 2, transitions: 0 },
  ]);
  expect(await timeline(db, noon, noon + 15 * MINUTE, 5 * MINUTE), '`to` does not count').toHaveLength(1);
});

test('a history is read newest first, in pages and between two moments', async () => {
  await recordChanges(
    db,
    Array.from({ length: 5 }, (_, n) => entry('ann', noon + n, n % 2 === 0 ? 'active' : 'inactive')),
  );
  const read = async (stretch: Partial<Parameters<typeof transitionsBefore>[2]>) => {
    const found = await transitionsBefore(db, 'ann', { from: null, to: null, version: null, limit: 100, ...stretch });
    return found.map((transition) => transition.at - noon);
  };
  expect(await read({})).toEqual([4, 3, 2, 1, 0]);
  expect(await read({ limit: 2 })).toEqual([4, 3]);
  expect(await read({ version: noon + 3, limit: 2 })).toEqual([2, 1]);
  expect(await read({ from: noon + 1, to: noon + 4 })).toEqual([3, 2, 1]);
});

test('pages of users follow their ids, whoever was never seen included', async () => {
  await db('users').insert([
    { id: 'b', last_seen: new Date(noon) },
    { id: 'B', last_seen: null },
    { id: 'a', last_seen: new Date(noon + 1) },
  ]);
  const first = await lastSeenPage(db, '', 2);
  expect(first).toEqual([
    { userId: 'B', lastSeen: null },
    { userId: 'a', lastSeen: noon + 1 },
  ]);
  expect(await lastSeenPage(db, 'a', 2)).toEqual([{ userId: 'b', lastSeen: noon }]);
});

test('old transitions are dropped, the oldest first and so many at most, but not since when somebody is active', async () => {
  const now = Date.now();
  await recordChanges(db, [
    entry('gone', now - 100 * DAY),
    entry('gone', now - 99 * DAY, 'inactive'),
    entry('gone', now - 10 * DAY, 'inactive'),
    entry('stays', now - 98 * DAY, 'inactive'),
    entry('stays', now - 97 * DAY),
  ]);
  expect(await dropTransitions(db, 90, 2)).toBe(2);
  const left = () => db('status_transitions').orderBy('at').pluck('user_id');
  expect(await left()).toEqual(['stays', 'stays', 'gone']);
  expect(await dropTransitions(db, 90, 2)).toBe(1);
  expect(await dropTransitions(db, 90, 2)).toBe(0);
  expect(await left()).toEqual(['stays', 'gone']);
});

test('dropping finds its rows by the index on their time', async () => {
  const made = Array.from({ length: 3000 }, (_, n) => entry(`user-${n}`, noon + n, 'inactive'));
  await recordChanges(db, made);
  await db.raw('ANALYZE status_transitions');
  const { rows } = await db.raw<{ rows: Record<string, string>[] }>(
    'EXPLAIN SELECT ctid FROM status_transitions WHERE at < ? ORDER BY at LIMIT 100',
    [new Date(noon + 1500)],
  );
  expect(JSON.stringify(rows)).toContain('status_transitions_before_at');
});

test('old minutes are dropped', async () => {
  const now = Date.now();
  for (const days of [401, 402, 399]) await noteActive(db, now - days * DAY, 1);
  expect(await dropMinutes(db, 400, 1)).toBe(1);
  expect(await dropMinutes(db, 400, 10)).toBe(1);
  expect(await timeline(db, 0, now, MINUTE)).toHaveLength(1);
});
