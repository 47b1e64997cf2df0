import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { flapsSince } from '../../src/postgres/flapping.ts';
import { peopleBeginningWith, tiesOf } from '../../src/postgres/people.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('people');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
  await db.raw(`
    INSERT INTO users (id, display_name)
    SELECT 'crowd-' || n, CASE WHEN n % 2 = 0 THEN 'Person ' || n END FROM generate_series(1, 20000) AS n
  `);
  await db('users').insert([
    { id: 'zoe', display_name: 'Ödön' },
    { id: 'a_b', display_name: null },
    { id: 'axb', display_name: '50%' },
  ]);
  await db.raw('ANALYZE users');
});
afterAll(async () => {
  await db.destroy();
  await stores.close();
});

const ids = async (prefix: string, limit = 10) =>
  (await peopleBeginningWith(db, prefix, limit)).map(({ userId }) => userId);

test('people are found by how their id or name begins, and nothing in it is a pattern', async () => {
  expect(await ids('Ödö')).toEqual(['zoe']);
  expect(await ids('ÖDö')).toEqual(['zoe']);
  expect(await ids('a_')).toEqual(['a_b']);
  expect(await ids('50%')).toEqual(['axb']);
  expect(await ids('%')).toEqual([]);
  expect(await ids('\\')).toEqual([]);
  const names = [100, 1000, 10_000, 10_002, 10_004, 10_006, 10_008, 10_010, 10_012, 10_014];
  expect(await ids('person 100')).toEqual(names.map((n) => `crowd-${n}`));
  expect(await ids('crowd-1999', 3)).toEqual(['crowd-1999', 'crowd-19990', 'crowd-19991']);
});

test('however many there are, only those are read who are found', async () => {
  const asked: { sql: string; bindings: Knex.RawBinding[] }[] = [];
  const listen = ({ sql, bindings }: { sql: string; bindings: Knex.RawBinding[] }) => asked.push({ sql, bindings });
  db.on('query', listen);
  await peopleBeginningWith(db, 'person 1234', 20);
  db.off('query', listen);
  expect(asked).toHaveLength(2);
  for (const { sql, bindings } of asked) {
    const inOrder = sql.replaceAll(/\$\d+/g, '?');
    const { rows } = await db.raw(`EXPLAIN (ANALYZE, FORMAT JSON) ${inOrder}`, bindings);
    const plan = JSON.stringify(rows);
    expect(plan).toMatch(/"Index Name":"users_(pkey|display_name_prefix)"/);
    expect(plan).not.toContain('Seq Scan');
    expect(plan).not.toContain('"Sort Key"');
  }
});

test('friends and blocks are counted, of nobody none', async () => {
  await db('friendships').insert(['zoe', 'axb'].map((id) => ({ user_id: 'a_b', friend_id: id })));
  await db('blocks').insert({ user_id: 'a_b', blocked_id: 'crowd-1' });
  expect(await tiesOf(db, 'a_b')).toEqual({ friends: 2, blocks: 1 });
  expect(await tiesOf(db, 'nobody')).toEqual({ friends: 0, blocks: 0 });
});

test('who was told inactive and had not left is told apart from who left', async () => {
  const from = Date.now() - 1_000_000;
  const rows: [userId: string, at: number, status: string, cause: string][] = [
    ['crowd-1', -5000, 'inactive', 'handover'],
    ['crowd-1', 1000, 'active', 'connect'],
    ['crowd-1', 2000, 'inactive', 'timeout'],
    ['crowd-1', 6000, 'active', 'heartbeat'],
    ['crowd-2', 3000, 'inactive', 'timeout'],
    ['crowd-2', 14_000, 'active', 'connect'],
    ['crowd-3', 4000, 'inactive', 'handover'],
    ['crowd-4', 5000, 'inactive', 'logout'],
    ['crowd-4', 5500, 'active', 'connect'],
    ['crowd-5', 7000, 'inactive', 'disconnect'],
    ['crowd-5', 7500, 'active', 'connect'],
  ];
  await db('status_transitions').insert(
    rows.map(([user_id, after, status, cause]) => {
      return { user_id, version: from + after, at: new Date(from + after), status, cause, last_seen: null };
    }),
  );
  expect(await flapsSince(db, from, 10)).toEqual({
    since: from,
    counts: { timeout: 1, handover: 1, disconnect: 1 },
    newest: [
      { userId: 'crowd-5', at: from + 7000, cause: 'disconnect', backAfterMs: 500 },
      { userId: 'crowd-3', at: from + 4000, cause: 'handover', backAfterMs: null },
      { userId: 'crowd-1', at: from + 2000, cause: 'timeout', backAfterMs: 4000 },
    ],
  });
  expect((await flapsSince(db, from, 1)).newest).toHaveLength(1);
  expect(await flapsSince(db, Date.now() + 1000, 10)).toMatchObject({ counts: {}, newest: [] });
});
