import { readFileSync } from 'node:fs';
import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser, isNamed } from '../../src/postgres/erasure.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

/** Ids of others than users. */
const OTHER_IDS = ['conversation_id'];
/** Told to Redis first, by workers, and dropped with that. */
const GOES_LATER = ['membership_changes'];
/** Of whom one of these has a row, another table has one too. */
const NEVER_ALONE = ['changes', 'changes_arriving', 'status_transitions', 'privacy_changes', 'membership_changes'];
/** A value for whatever a row has to say besides, by PostgreSQL's name of the type. */
const SOMETHING: Record<string, unknown> = {
  text: 'inactive',
  int8: 1,
  timestamptz: '2026-01-31T12:00:00Z',
  jsonb: '{}',
};

interface Column {
  table: string;
  column: string;
  type: string;
  /** Whether it has the collation of ids. */
  id: boolean;
  /** Whether a row has to say it. */
  needed: boolean;
}

let stores: TestStores;
let db: Knex;
let columns: Column[];
beforeAll(async () => {
  stores = await openTestStores('tables');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
  const { rows } = await db.raw<{ rows: Column[] }>(
    `SELECT table_name AS table, column_name AS column, udt_name AS type, collation_name IS NOT DISTINCT FROM 'C' AS id,
            is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AS needed
       FROM information_schema.columns JOIN pg_class ON pg_class.oid = table_name::regclass
      WHERE table_schema = 'public' AND relkind IN ('r', 'p') AND NOT relispartition AND table_name NOT LIKE 'knex%'`,
  );
  columns = rows;
});
afterAll(async () => {
  await db?.destroy();
  await stores?.close();
});
beforeEach(async () => {
  const tables = [...new Set(naming().map(({ table }) => table))];
  await db.raw(`TRUNCATE ${tables.map(() => '??').join(', ')}`, tables);
});

/** The columns in which a user's id stands. */
const naming = () => columns.filter(({ id, column }) => id && !OTHER_IDS.includes(column));

async function nameIn({ table, column }: Column, userId: string): Promise<void> {
  const others = columns.filter((other) => other.table === table && other.column !== column && other.needed);
  const row = Object.fromEntries(others.map(({ column: name, type, id }) => [name, id ? 'other' : SOMETHING[type]]));
  await db(table).insert({ ...row, [column]: userId });
}

test('the page lists every table, and none that is not there', () => {
  const [, rest = ''] = readFileSync('docs/architecture.md', 'utf8').split('\n## Tables\n');
  const [section = ''] = rest.split('\n## ');
  const [lists = ''] = section.split('What is asked for everybody');
  const names = [...lists.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
  const tables = new Set(columns.map(({ table }) => table));
  const others = new Set(columns.map(({ column }) => column));
  expect(names.filter((name) => !others.has(name)).sort()).toEqual([...tables].sort());
});

test('an erasure leaves the user’s id in no column of any table', async () => {
  const named = naming();
  expect(named.length).toBeGreaterThan(10);
  for (const column of named) await nameIn(column, 'gone');
  await eraseUser(db, 'gone', 9);
  const left: string[] = [];
  for (const { table, column } of named.filter(({ table }) => !GOES_LATER.includes(table))) {
    const rows: { cause?: string }[] = await db(table).where(column, 'gone');
    // The feed tells its readers for moments whom to forget.
    if (rows.some(({ cause }) => cause !== 'erased')) left.push(`${table}.${column}`);
  }
  expect(left).toEqual([]);
});

test('whoever stands in a table alone can be erased, though there is nothing else of them', async () => {
  const unnoticed: string[] = [];
  for (const column of naming().filter(({ table }) => !NEVER_ALONE.includes(table))) {
    const userId = `only in ${column.table} ${column.column}`;
    await nameIn(column, userId);
    if (!(await isNamed(db, userId))) unnoticed.push(`${column.table}.${column.column}`);
  }
  expect(unnoticed).toEqual([]);
});
