import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { positionChanges } from '../../src/postgres/change-feed.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { whatWaits } from '../../src/postgres/waiting.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const AGES = { untoldMs: 1000, toldMs: 30_000, erasureMs: 30_000 };
const NOTHING = { arriving: false, erasures: false, privacy: false, removals: false };

let stores: TestStores;
let db: Knex;
beforeAll(async () => {
  stores = await openTestStores('waiting');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});
afterAll(async () => {
  await db?.destroy();
  await stores?.close();
});

const ago = (seconds: number) => `now() - interval '${seconds} seconds'`;

test('where nothing was ever done nothing waits', async () => {
  expect(await whatWaits(db, AGES)).toEqual(NOTHING);
});

test('changes wait for a position, and an erasure to be forgotten once it was told for long enough', async () => {
  const arrives = (userId: string, at: string) =>
    db.raw(
      `INSERT INTO changes_arriving (user_id, version, at, status, cause) VALUES (?, 1, ${at}, 'inactive', 'erased')`,
      [userId],
    );
  await arrives('anna', ago(25));
  expect(await whatWaits(db, AGES)).toEqual({ ...NOTHING, arriving: true });
  await positionChanges(db, 10);
  expect(await whatWaits(db, AGES)).toEqual(NOTHING);
  await arrives('bert', ago(31));
  await positionChanges(db, 10);
  expect(await whatWaits(db, AGES)).toEqual({ ...NOTHING, erasures: true });
  await db.raw('DELETE FROM changes');
});

test.each([
  ['privacy', 'privacy_changes', 'user_id, revision', `'anna', 1`],
  ['removals', 'membership_changes', 'conversation_id, user_id', `'talk', 'anna'`],
])(
  'of %s waits what a web had its time to tell, and what was told half a minute ago',
  async (kind, table, names, values) => {
    const rows: [made: string, applied: string, waits: boolean][] = [
      [ago(0), 'NULL', false],
      [ago(2), 'NULL', true],
      [ago(60), ago(10), false],
      [ago(60), ago(31), true],
    ];
    for (const [made, applied, waits] of rows) {
      await db.raw(`INSERT INTO ${table} (${names}, made_at, applied_at) VALUES (${values}, ${made}, ${applied})`);
      expect(await whatWaits(db, AGES)).toEqual({ ...NOTHING, [kind]: waits });
      await db.raw(`DELETE FROM ${table}`);
    }
  },
);
