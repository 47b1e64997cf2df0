import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import {
  detailSourcesOf,
  dropEndedSources,
  endDetailSource,
  saveDetailSource,
  withEndingDetail,
} from '../../src/postgres/detail-sources.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import { loadStoredUsers } from '../../src/postgres/users.ts';
import type { Detail } from '../../src/presence/change.ts';
import { DEFAULT_DETAIL_ORDER as ORDER } from '../../src/presence/detail.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('sources');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});
afterAll(async () => {
  await db?.destroy();
  await stores?.close();
});

const say = (userId: string, source: string, detail: Detail, end = {}, order = ORDER) =>
  saveDetailSource(db, userId, { source, detail }, end, order);
const stored = async (userId: string) => (await loadStoredUsers(db, [userId])).get(userId);
const names = (sources: readonly { source: string }[] | undefined) => sources?.map(({ source }) => source);

test('what a source says is kept whole, in the order of strength, and is no other source’s business', async () => {
  const busy = { availability: 'busy' as const, text: 'it\'s "quoted"?', emoji: '☕' };
  const first = await say('ada', 'manual', busy);
  expect(first?.sources).toEqual([{ source: 'manual', detail: busy, until: null, remainingMs: null }]);
  await say('ada', 'zoom', { text: 'z' });
  await say('ada', 'call', { availability: 'dnd' });
  await say('ada', 'app', { text: 'a' });
  const all = await say('ada', 'calendar', { text: 'c' });
  expect(names(all?.sources)).toEqual(['call', 'manual', 'calendar', 'app', 'zoom']);
  expect(all?.revision).toBeGreaterThan(first?.revision ?? 0);
  expect(names((await stored('ada'))?.sources)).toEqual(names(all?.sources));
  expect((await stored('ada'))?.detailRevision).toBe(all?.revision);
  const others = (await detailSourcesOf(db, ['ada', 'nobody'], ['zoom'])).entries().toArray();
  expect(others.map(([id, { sources }]) => [id, names(sources)])).toEqual([
    ['ada', ['zoom', 'app', 'calendar', 'call', 'manual']],
  ]);
  const left = await endDetailSource(db, 'ada', 'zoom', ORDER);
  expect(names(left?.sources)).toEqual(['call', 'manual', 'calendar', 'app']);
  expect(left?.revision).toBeGreaterThan(all?.revision ?? 0);
  // Where there was nothing to end nothing is news, and somebody unknown stays unknown.
  expect(await endDetailSource(db, 'ada', 'zoom', ORDER)).toMatchObject({ revision: left?.revision });
  expect(await endDetailSource(db, 'stranger', 'zoom', ORDER)).toBeNull();
  expect(await stored('stranger')).toBeUndefined();
});

test('a sixteenth source is taken and a seventeenth is not, unless one of them is over or is said anew', async () => {
  for (let n = 0; n < 15; n++) await say('bea', `s${n}`, { text: 'x' });
  expect((await say('bea', 's15', { text: 'x' }, { lastsMs: 1 }))?.sources).toHaveLength(16);
  await expect.poll(() => say('bea', 's16', { text: 'x' })).not.toBeNull();
  expect(await say('bea', 's17', { text: 'x' })).toBeNull();
  expect(names((await stored('bea'))?.sources)).not.toContain('s17');
  expect((await say('bea', 's3', { text: 'y' }))?.sources).toHaveLength(16);
  // Nor do two at once make one too many.
  await endDetailSource(db, 'bea', 's3', ORDER);
  const both = await Promise.all(['a', 'b'].map((source) => say('bea', source, { text: 'x' })));
  expect(both.filter((saved) => saved === null)).toHaveLength(1);
});

test('an end is a moment or a while, is told to the millisecond, and what is left of it is counted', async () => {
  const untilMs = Date.now() + 3_600_123;
  await say('cal', 'calendar', { text: 'c' }, { untilMs });
  const saved = await say('cal', 'manual', { text: 'm' }, { lastsMs: 60_000 });
  const [manual, calendar] = saved?.sources ?? [];
  expect(calendar?.until).toBe(untilMs);
  expect(manual?.remainingMs).toBeLessThanOrEqual(60_000);
  expect(manual?.remainingMs).toBeGreaterThan(59_000);
  expect(Math.abs((manual?.until ?? 0) - (Date.now() + 60_000))).toBeLessThan(5000);
});

test('what is over is remembered as over until a change that says so is recorded, and no other', async () => {
  await say('dan', 'call', { text: 'x' }, { lastsMs: 1 });
  await expect.poll(async () => (await stored('dan'))?.sources[0]?.remainingMs).toBeLessThanOrEqual(0);
  expect((await detailSourcesOf(db, ['dan'], ORDER)).get('dan')?.sources).toEqual([]);
  expect(await withEndingDetail(db, '', 10)).toContain('dan');
  const change = { userId: 'dan', status: 'inactive' as const, lastSeen: null, at: Date.now() };
  const entry = { clearsHidden: false, transition: false };
  await recordChanges(db, [{ ...entry, change: { ...change, version: 1, cause: 'connect' } }]);
  expect(await withEndingDetail(db, '', 10)).toContain('dan');
  await recordChanges(db, [{ ...entry, change: { ...change, version: 2, cause: 'detail', detail: {} } }]);
  expect(await stored('dan')).toMatchObject({ version: 2, sources: [] });
  expect(await withEndingDetail(db, '', 10)).not.toContain('dan');
  await say('dan', 'call', { text: 'x' }, { lastsMs: 60_000 });
  await dropEndedSources(db, ['dan', 'nobody']);
  expect((await stored('dan'))?.sources).toHaveLength(1);
});

test('what the version before still writes while it runs is what the user says', async () => {
  const row = { id: 'eli', detail: JSON.stringify({ text: 'old' }), detail_set_at: 5 };
  await db('users').insert(row);
  const before = await stored('eli');
  expect(before?.sources).toEqual([{ source: 'manual', detail: { text: 'old' }, remainingMs: null }]);
  // It names the detail with everything that it records.
  await say('eli', 'manual', { text: 'new' });
  await db('users').where({ id: 'eli' }).update({ detail: row.detail });
  expect((await stored('eli'))?.sources).toMatchObject([{ detail: { text: 'new' } }]);
  await db('users').where({ id: 'eli' }).update({ detail: null, detail_set_at: 6 });
  const after = await stored('eli');
  expect(after?.sources).toEqual([]);
  expect(after?.detailRevision).toBeGreaterThan(before?.detailRevision ?? 0);
});
