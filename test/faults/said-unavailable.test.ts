import { afterAll, beforeAll, expect, test } from 'vitest';
import { RollcallError } from '../../src/errors.ts';
import { connectPostgres, query } from '../../src/postgres/connect.ts';
import { absenceReasonOf } from '../../src/postgres/watch.ts';
import { connectRedis } from '../../src/redis/connect.ts';
import { orUnavailable } from '../../src/usecases/unavailable.ts';
import { openTestStores } from '../support/stores.ts';

let stores: Awaited<ReturnType<typeof openTestStores>>;
beforeAll(async () => {
  stores = await openTestStores('said unavailable');
});
afterAll(() => stores.close());

/** What somebody is told whose question met a store in this state. */
async function said(work: () => Promise<unknown>): Promise<string> {
  const error = await orUnavailable(work).then(
    () => expect.fail('this should have failed'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RollcallError)) throw error;
  expect([error.code, error.retryAfterMs]).toEqual(['UNAVAILABLE', 1000]);
  return error.message;
}

async function askPostgres(databaseUrl: string, sql: string): Promise<string> {
  const db = connectPostgres({ databaseUrl, databaseSsl: 'by-url' });
  try {
    return await said(() => query(db, sql, []));
  } finally {
    await db.destroy();
  }
}

test('whoever asks is told that PostgreSQL is not answering, or that it refuses, and no address of it', async () => {
  const nowhere = new URL(stores.databaseUrl);
  nowhere.port = '1';
  expect(await askPostgres(nowhere.href, 'SELECT 1')).toMatch(/^PostgreSQL is not answering, so .*try again/);
  const refused = await askPostgres(stores.databaseUrl, 'SELECT * FROM not_migrated');
  expect(refused).toMatch(/^PostgreSQL refuses what it is asked \(42P01\)/);
  expect(refused).not.toContain('not_migrated');
});

test('an operator is told of a PostgreSQL that answers that it refuses, and not that it is not answering', async () => {
  const db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
  try {
    const refused: unknown = await query(db, 'CREATE TABLE users (id text)', []).catch((error) => error);
    expect(absenceReasonOf(refused)).toBe('PostgreSQL refuses what it is asked (42P07).');
  } finally {
    await db.destroy();
  }
});

test('whoever asks is told that Redis is not answering', async () => {
  const redis = connectRedis({ urls: ['redis://127.0.0.1:1'], cluster: false, tlsRejectUnauthorized: true }, 'prompt');
  redis.on('error', () => {});
  try {
    expect(await said(() => redis.get('anything'))).toMatch(/^Redis is not answering, so .*try again/);
  } finally {
    redis.disconnect();
  }
});
