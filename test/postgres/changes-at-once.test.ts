import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import type { Untold } from '../../src/postgres/privacy.ts';
import { block, unblock } from '../../src/postgres/social.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { eventually } from '../support/eventually.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('changes at once');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});
afterAll(async () => {
  await db.destroy();
  await stores.close();
});

/** So many statements wait for a row. */
const waiting = (count: number) =>
  eventually(
    () =>
      db('pg_stat_activity')
        .whereRaw(`datname = current_database() AND wait_event_type = 'Lock'`)
        .count('* as n')
        .first(),
    (row) => Number(row?.n) === count,
  );

/** Both have looked at what there is before either notes what it made of it. */
async function atOnce(...changes: (() => Promise<Untold>)[]): Promise<Untold[]> {
  const work: Promise<Untold>[] = [];
  await inTransaction(db, async (ask) => {
    await ask(`SELECT FROM privacy_changes WHERE user_id LIKE '%-unknown' ORDER BY user_id FOR UPDATE`);
    for (const change of changes) {
      work.push(change());
      await waiting(work.length);
    }
  });
  return Promise.all(work);
}

test('of two who block somebody who never came neither claims that nothing was restricted before', async () => {
  for (const change of [block, unblock]) await change(db, 'c-former', 'u-unknown');
  const untold = await atOnce(
    () => block(db, 'a-blocker', 'u-unknown'),
    () => block(db, 'b-blocker', 'u-unknown'),
  );
  expect(untold.map((of) => of.get('u-unknown')?.step?.wasOpen)).toEqual([false, false]);
});

test('who ends the one block of somebody who never came does not open them to whoever blocks them meanwhile', async () => {
  await block(db, 'd-ending', 'v-unknown');
  const [, ended] = await atOnce(
    () => block(db, 'e-blocker', 'v-unknown'),
    () => unblock(db, 'd-ending', 'v-unknown'),
  );
  expect(ended?.get('v-unknown')?.privacy.open).toBe(false);
});
