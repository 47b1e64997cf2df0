import type { Knex } from 'knex';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { connectPostgres, query } from '../../src/postgres/connect.ts';
import { isConnectionError } from '../../src/postgres/errors.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { dropPartitions, makePartitions } from '../../src/postgres/partitions.ts';
import { postgresNow } from '../../src/postgres/time.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { loadStoredUsers, touchLastSeen } from '../../src/postgres/users.ts';
import { PostgresWatch } from '../../src/postgres/watch.ts';
import { strictPooler } from '../support/strict-pooler.ts';

let postgres: EmbeddedPostgres;
let databaseUrl: string;
let db: Knex;
let databases = 0;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const open = (url: string) => connectPostgres({ databaseUrl: url, databaseSsl: 'by-url' });

beforeEach(async () => {
  databaseUrl = await postgres.createDatabase(`pool_${++databases}`);
  db = open(databaseUrl);
});
afterEach(async () => {
  vi.useRealTimers();
  await db.destroy();
});

const backend = async () => (await query<{ pid: number }>(db, 'SELECT pg_backend_pid() AS pid', []))[0]?.pid;
/** As an operator does; everybody is cut off, as by a failover. */
async function alterDatabase(change: string): Promise<void> {
  const operator = open(postgres.url);
  const name = new URL(databaseUrl).pathname.slice(1);
  await operator.raw(`ALTER DATABASE ${name} ${change}`);
  await operator.raw('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?', [name]);
  await operator.destroy();
}

describe('behind a pooler', () => {
  test('nothing is said at the start of a connection but what PgBouncer takes there', async () => {
    const pooler = await strictPooler(postgres.url);
    const through = open(pooler.through(databaseUrl));
    try {
      expect(await migrate(pooler.through(databaseUrl))).not.toEqual([]);
      await touchLastSeen(through, [{ userId: 'ann', lastSeen: 1 }]);
      expect((await loadStoredUsers(through, ['ann'])).get('ann')?.lastSeen).toBe(1);
      expect(pooler.refused).toEqual([]);
    } finally {
      await through.destroy();
      await pooler.stop();
    }
  });

  test('a transaction has limits of its own, which are gone with it: nothing is set for whoever comes next', async () => {
    const limits = `SELECT current_setting('statement_timeout') AS statement,
      current_setting('idle_in_transaction_session_timeout') AS idle, pg_backend_pid() AS pid`;
    const [before] = await query<{ pid: number }>(db, limits, []);
    const [within] = await inTransaction(db, (ask) => ask<{ pid: number }>(limits));
    const [after] = await query<{ pid: number }>(db, limits, []);
    expect(within).toEqual({ statement: '10s', idle: '10s', pid: before?.pid });
    expect(after).toEqual(before);
    expect(before).toMatchObject({ statement: '0', idle: '0' });
  });

  test('a statement that takes too long is given up, and the server is asked to stop it', async () => {
    const operator = open(postgres.url);
    const begun = performance.now();
    const error = await query(db, 'SELECT pg_sleep(60)', []).catch((thrown: unknown) => thrown);
    expect(isConnectionError(error)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(15_000);
    await expect
      .poll(() => query(operator, `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`, []), { timeout: 5000 })
      .toEqual([]);
    await operator.destroy();
  });
});

describe('a connection is thrown away', () => {
  test('where its server takes no writes any more: the next one may lead to the primary', async () => {
    await migrate(databaseUrl);
    const watch = new PostgresWatch(db, pino({ level: 'silent' }));
    await alterDatabase('SET default_transaction_read_only = on');
    await expect.poll(() => watch.look(), { timeout: 10_000 }).toMatch(/read only.*25006/);
    const write = () => touchLastSeen(db, [{ userId: 'ann', lastSeen: 1 }]);
    await expect(write()).rejects.toMatchObject({ code: '25006' });
    const before = await backend();
    await expect(write()).rejects.toMatchObject({ code: '25006' });
    const operator = open(postgres.url);
    await operator.raw(`ALTER DATABASE ${new URL(databaseUrl).pathname.slice(1)} RESET default_transaction_read_only`);
    await operator.destroy();
    // Nobody was cut off: the old connections would be read only for good.
    await write();
    expect(await backend()).not.toBe(before);
    expect(await watch.look()).toBeNull();
  });

  test('where an operator ends what it does', async () => {
    const before = await backend();
    const sleeping = query(db, 'SELECT pg_sleep(60)', []).catch((thrown: unknown) => thrown);
    const operator = open(postgres.url);
    await expect
      .poll(
        () => query(operator, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`, []),
        { timeout: 10_000 },
      )
      .toHaveLength(1);
    await operator.destroy();
    expect(await sleeping).toMatchObject({ code: '57014' });
    expect(await backend()).not.toBe(before);
  });

  test('when it is old', async () => {
    const before = await backend();
    expect(await backend()).toBe(before);
    const ages = performance.now() + 11 * 60_000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => ages);
    try {
      expect(await backend()).not.toBe(before);
    } finally {
      clock.mockRestore();
    }
  });
});

test.each(['SQL, DMY', 'German', 'Postgres, MDY', 'ISO, DMY'])(
  'a database that writes dates as %s is read right',
  async (style) => {
    await alterDatabase(`SET datestyle = '${style}'`);
    await migrate(databaseUrl);
    const lastSeen = Date.UTC(2025, 10, 3, 20, 1, 2, 345);
    await touchLastSeen(db, [{ userId: 'ann', lastSeen }]);
    expect((await loadStoredUsers(db, ['ann'])).get('ann')?.lastSeen).toBe(lastSeen);
    expect(Math.abs((await postgresNow(db)) - Date.now())).toBeLessThan(60_000);
    expect(
      (await inTransaction(db, (ask) => ask<{ at: Date }>(`SELECT timestamptz '2025-11-03 20:01:02Z' AS at`)))[0]?.at,
    ).toEqual(new Date('2025-11-03T20:01:02Z'));
    const now = Date.now();
    const made = await makePartitions(db, 90, now);
    expect(await makePartitions(db, 90, now)).toEqual([]);
    expect(await dropPartitions(db, 0, now + 400 * 86_400_000)).toEqual(expect.arrayContaining(made));
  },
);
