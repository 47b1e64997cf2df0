import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import { readPrivacy } from '../../src/postgres/privacy.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { clearHidden, loadStoredUsers, saveHidden, storedAsActive, touchLastSeen } from '../../src/postgres/users.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('users');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const at = 1_732_441_234_567;

async function storedUserOf(userId: string) {
  return (await loadStoredUsers(db, [userId])).get(userId);
}

test('an id nobody ever heard of is missing, not invented', async () => {
  await touchLastSeen(db, [{ userId: 'known', lastSeen: at }]);
  const memories = await loadStoredUsers(db, ['known', 'unknown']);
  expect([...memories.keys()]).toEqual(['known']);
  expect(await loadStoredUsers(db, [])).toEqual(new Map());
});

test('last seen keeps every millisecond, at any time of this century and the next', async () => {
  const times = Array.from({ length: 1000 }, (_, ms) => at + ms);
  const edges = [0, 1, 999, 1000, 4_102_444_799_999, 7_258_118_399_999, Date.UTC(2024, 1, 29, 23, 59, 59, 999)];
  const touches = [...times, ...edges].map((lastSeen, index) => ({ userId: `ms-${index}`, lastSeen }));
  await touchLastSeen(db, touches);
  const memories = await loadStoredUsers(
    db,
    touches.map((touch) => touch.userId),
  );
  for (const { userId, lastSeen } of touches) expect(memories.get(userId)?.lastSeen).toBe(lastSeen);
});

test('last seen never goes back, whatever order touches come in', async () => {
  await touchLastSeen(db, [
    { userId: 'order', lastSeen: at + 1 },
    { userId: 'order', lastSeen: at + 3 },
    { userId: 'order', lastSeen: at + 2 },
  ]);
  await touchLastSeen(db, [{ userId: 'order', lastSeen: at }]);
  await touchLastSeen(db, []);
  expect(await storedUserOf('order')).toEqual({
    version: 0,
    lastSeen: at + 3,
    status: 'inactive',
    hidden: null,
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  });
});

test('ids at the limits and of every allowed letter are kept as they are', async () => {
  const ids = ['x'.repeat(128), '42', 'a:b~c', 'auth0|5', '+1.2@x_y-z', 'A', 'a', '{', '"', "'; DROP TABLE users; --"];
  await touchLastSeen(
    db,
    ids.map((userId) => ({ userId, lastSeen: at })),
  );
  expect([...(await loadStoredUsers(db, ids)).keys()].sort()).toEqual([...ids].sort());
  await expect(touchLastSeen(db, [{ userId: 'x'.repeat(129), lastSeen: at }])).rejects.toMatchObject({ code: '23514' });
});

test('appearing inactive is remembered for a user nobody heard of before, until further notice', async () => {
  await saveHidden(db, 'hidden', { expiresInMs: null, setAt: at });
  expect(await storedUserOf('hidden')).toEqual({
    version: 0,
    lastSeen: null,
    status: 'inactive',
    hidden: { remainingMs: null },
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  });
  await clearHidden(db, 'hidden', at + 1);
  expect((await storedUserOf('hidden'))?.hidden).toBeNull();
});

test('appearing inactive for a while says how long is left, and is over when that has passed', async () => {
  await saveHidden(db, 'while', { expiresInMs: 60_000, setAt: at });
  const remainingMs = (await storedUserOf('while'))?.hidden?.remainingMs ?? 0;
  expect(remainingMs).toBeGreaterThan(50_000);
  expect(remainingMs).toBeLessThanOrEqual(60_000);
  await saveHidden(db, 'while', { expiresInMs: 0, setAt: at });
  expect((await storedUserOf('while'))?.hidden).toBeNull();
});

test('a late choice does not undo a newer one, nor does a late clearing', async () => {
  await saveHidden(db, 'race', { expiresInMs: null, setAt: at + 5 });
  await clearHidden(db, 'race', at + 4);
  expect((await storedUserOf('race'))?.hidden).not.toBeNull();
  await clearHidden(db, 'race', at + 5);
  expect((await storedUserOf('race'))?.hidden).toBeNull();
  await saveHidden(db, 'race', { expiresInMs: null, setAt: at + 3 });
  expect((await storedUserOf('race'))?.hidden).toBeNull();
});

test('who was active by the last record is paged through in the order of ids, each once', async () => {
  const ids = ['Zoe', 'adam', 'b:1', '10', '9', 'b.1', 'B'];
  const entries = ids.map((userId, index) => ({
    change: { userId, status: 'active' as const, lastSeen: at, version: index + 1, at, cause: 'connect' as const },
    clearsHidden: false,
    transition: true,
  }));
  await recordChanges(db, entries);
  await touchLastSeen(db, [{ userId: 'a-inactive', lastSeen: at }]);
  const found: string[] = [];
  for (;;) {
    const page = await storedAsActive(db, found.at(-1) ?? '', 3);
    if (page.length === 0) break;
    expect(page[0]).toMatchObject({ version: ids.indexOf(page[0]?.userId ?? '') + 1, lastSeen: at });
    found.push(...page.map((user) => user.userId));
  }
  expect(found).toEqual([...ids].sort());
});

test('whoever comes is looked up by an index, however small the tables are and however many come at once', async () => {
  for (const ids of [['index-0'], Array.from({ length: 500 }, (_, n) => `index-${n}`)]) {
    const scans = await inTransaction(db, async (ask) => {
      await ask('SELECT * FROM stored_users(?::text[])', [ids]);
      expect((await readPrivacy(ask, ids)).size).toBe(ids.length);
      return ask<{ relname: string; seq_scan: string; idx_scan: string }>(
        `SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables
          WHERE relname IN ('users', 'user_settings', 'blocks', 'erasures') ORDER BY relname`,
      );
    });
    expect(scans.map(({ relname, seq_scan }) => [relname, Number(seq_scan)])).toEqual([
      ['blocks', 0],
      ['erasures', 0],
      ['user_settings', 0],
      ['users', 0],
    ]);
    for (const { idx_scan } of scans) expect(Number(idx_scan)).toBeGreaterThanOrEqual(ids.length);
  }
});
