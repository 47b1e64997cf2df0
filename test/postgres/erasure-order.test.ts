import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { privacyOf } from '../../src/postgres/privacy.ts';
import { markTold, untoldChanges } from '../../src/postgres/privacy-changes.ts';
import { befriend, block, changeSettings } from '../../src/postgres/social.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { eventually } from '../support/eventually.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('erasure order');
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

test('an erasure and the note of what Redis has heard wait for each other in no circle', async () => {
  const untold = await block(db, 'a-blocker', 'u-erased');
  const heard = [...untold].map(([userId, { privacy }]) => ({ userId, revision: privacy.revision }));
  const work: Promise<unknown>[] = [];
  await inTransaction(db, async (ask) => {
    await ask(`SELECT FROM privacy_changes WHERE user_id = 'u-erased' FOR UPDATE`);
    work.push(eraseUser(db, 'u-erased', 1));
    await waiting(1);
    work.push(markTold(db, heard));
    await waiting(2);
  });
  await expect(Promise.all(work)).resolves.toBeDefined();
});

test('a friend who begins to ask for friends while the other is erased loses that one alone', async () => {
  for (const friend of ['u-leaving', 'b-staying']) await befriend(db, 'a-friend', friend);
  await block(db, 'u-leaving', 'z-blocked');
  let erasing: Promise<unknown> = Promise.resolve();
  await inTransaction(db, async (ask) => {
    await ask(`SELECT FROM blocks WHERE user_id = 'u-leaving' FOR UPDATE`);
    erasing = eraseUser(db, 'u-leaving', 1);
    await waiting(1);
    const { untold } = await changeSettings(db, 'a-friend', { visibility: 'friends' });
    const revision = untold.get('a-friend')?.privacy.revision ?? 0;
    await markTold(db, [{ userId: 'a-friend', revision }]);
  });
  const before = (await privacyOf(db, 'a-friend')).revision;
  await erasing;
  const noted = (await untoldChanges(db, 0, 10)).find(({ userId }) => userId === 'a-friend');
  expect(noted?.step).toMatchObject({ wasOpen: false, friends: { added: [], removed: ['u-leaving'] } });
  expect(noted?.step?.previous).toBeLessThanOrEqual(before);
  expect(noted?.step?.previous).toBeGreaterThan(0);
});
