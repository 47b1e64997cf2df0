import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionTo, connectPostgres, query } from '../../src/postgres/connect.ts';
import { isConnectionError } from '../../src/postgres/errors.ts';
import { loadStoredUsers, touchLastSeen } from '../../src/postgres/users.ts';
import { privatePostgres } from '../support/stores.ts';

type PrivatePostgres = Awaited<ReturnType<typeof privatePostgres>>;

async function failure(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => expect.fail('this should have failed'),
    (error: unknown) => error,
  );
}

describe('while PostgreSQL is not there', () => {
  let postgres: PrivatePostgres['postgres'];
  let databaseUrl: string;

  beforeAll(async () => {
    ({ postgres, databaseUrl } = await privatePostgres());
  });

  afterAll(() => postgres.stop());

  const connect = () => connectPostgres({ databaseUrl, databaseSsl: 'by-url' });

  test('a statement fails as a matter of connection, and the same pool works when it is back', async () => {
    const db = connect();
    await touchLastSeen(db, [{ userId: 'ann', lastSeen: 1 }]);
    await postgres.shutdown();
    expect(isConnectionError(await failure(loadStoredUsers(db, ['ann'])))).toBe(true);
    await postgres.start();
    expect((await loadStoredUsers(db, ['ann'])).get('ann')?.lastSeen).toBe(1);
    await db.destroy();
  });

  test('a statement that is under way is cut off, not lost in silence', async () => {
    const db = connect();
    const sleeping = failure(query(db, 'SELECT pg_sleep(60)', []));
    await expect
      .poll(() => query(db, `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`, []), { timeout: 10_000 })
      .toHaveLength(1);
    await postgres.restart();
    expect(isConnectionError(await sleeping)).toBe(true);
    await db.destroy();
  });

  test('a PostgreSQL that is frozen keeps nobody waiting, neither for a connection nor for an answer', async () => {
    const db = connect();
    await query(db, 'SELECT 1', []);
    const begun = performance.now();
    await postgres.kill('SIGSTOP');
    try {
      const owed = failure(query(db, 'SELECT 1', [])).then((error) => ({ error, ms: performance.now() - begun }));
      const fresh = failure(query(db, 'SELECT 2', [])).then((error) => ({ error, ms: performance.now() - begun }));
      for (const { error, ms } of [await fresh, await owed]) {
        expect(isConnectionError(error)).toBe(true);
        expect(ms).toBeLessThan(15_000);
      }
      expect((await fresh).ms).toBeLessThan(5000);
    } finally {
      await postgres.kill('SIGCONT');
    }
    await expect.poll(() => query(db, 'SELECT 1 AS one', []), { timeout: 10_000 }).toEqual([{ one: 1 }]);
    await db.destroy();
  });
});

describe('errors', () => {
  const sqlError = (code: string) => Object.assign(new Error('…'), { code });

  test.each([
    '08006',
    '57P01',
    '57P02',
    '57P03',
    '53300',
    '57014',
    '40P01',
    '40001',
    '28P01',
    '42P01',
    '25006',
    '3D000',
  ])('%s is not the data’s fault', (code) => {
    expect(isConnectionError(sqlError(code))).toBe(true);
  });

  test.each(['22021', '22P02', '22P05', '22003', '23505', '23502', '54000'])('%s is', (code) => {
    expect(isConnectionError(sqlError(code))).toBe(false);
  });

  test('a broken constraint is, a partition that came or went at that moment is not', () => {
    expect(isConnectionError(Object.assign(sqlError('23514'), { constraint: 'users_id_check' }))).toBe(false);
    expect(isConnectionError(sqlError('23514'))).toBe(true);
  });

  test('neither is a network that fails, nor a pool that is exhausted; a fault of our own is no such thing', async () => {
    for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']) {
      expect(isConnectionError(sqlError(code))).toBe(true);
    }
    for (const fault of [new TypeError('x is not a function'), 'text', null, undefined, {}]) {
      expect(isConnectionError(fault)).toBe(false);
    }
    const nowhere = connectPostgres({ databaseUrl: 'postgres://127.0.0.1:1/x', databaseSsl: 'by-url' });
    expect(isConnectionError(await failure(query(nowhere, 'SELECT 1', [])))).toBe(true);
    await nowhere.destroy();
  });

  test('neither is a port that answers something else, or nothing', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const db = connectPostgres({ databaseUrl: `postgres://u:p@127.0.0.1:${port}/x`, databaseSsl: 'by-url' });
    expect(isConnectionError(await failure(query(db, 'SELECT 1', [])))).toBe(true);
    const secured = connectPostgres({ databaseUrl: `postgres://u:p@127.0.0.1:${port}/x`, databaseSsl: 'verify' });
    expect(isConnectionError(await failure(query(secured, 'SELECT 1', [])))).toBe(true);
    await Promise.all([db.destroy(), secured.destroy()]);
    server.close();
  });
});

describe('encryption', () => {
  const databaseUrl = 'postgres://u:p@h/d?sslmode=disable&application_name=x';

  test('follows the address where nothing else is said, and DATABASE_SSL before the address', () => {
    expect(connectionTo({ databaseUrl, databaseSsl: 'by-url' })).toEqual({ connectionString: databaseUrl });
    const connectionString = 'postgres://u:p@h/d?application_name=x';
    const expected = [
      ['off', false],
      ['verify', { rejectUnauthorized: true }],
      ['no-verify', { rejectUnauthorized: false }],
    ] as const;
    for (const [databaseSsl, ssl] of expected) {
      expect(connectionTo({ databaseUrl, databaseSsl })).toEqual({ connectionString, ssl });
    }
  });

  test('an unencrypted server is refused where encryption is asked for', async () => {
    const { postgres, databaseUrl: plain } = await privatePostgres();
    const db = connectPostgres({ databaseUrl: plain, databaseSsl: 'no-verify' });
    expect(String(await failure(query(db, 'SELECT 1', [])))).toMatch(/does not support SSL/);
    await db.destroy();
    await postgres.stop();
  });
});
