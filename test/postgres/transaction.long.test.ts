import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { isConnectionError } from '../../src/postgres/errors.ts';
import { type Ask, inTransaction } from '../../src/postgres/transaction.ts';
import { privatePostgres } from '../support/stores.ts';

let postgres: EmbeddedPostgres;
let db: Knex;

beforeAll(async () => {
  const started = await privatePostgres();
  postgres = started.postgres;
  db = connectPostgres({ databaseUrl: started.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db?.destroy();
  await postgres?.stop();
});

const make = (ask: Ask, id: string) => ask('INSERT INTO users (id) VALUES (?)', [id]);
const exists = async (id: string) => (await db('users').where({ id })).length === 1;

/** More than the pool has connections: one that is lost or spoilt is noticed. */
const poolIsWell = () =>
  Promise.all(Array.from({ length: 12 }, (_, n) => inTransaction(db, (ask) => ask('SELECT ?::int', [n]))));

test('all of it is done, and the work’s own answer comes back', async () => {
  expect(await inTransaction(db, async (ask) => [await make(ask, 'one'), await make(ask, 'two'), 'done'])).toEqual([
    [],
    [],
    'done',
  ]);
  expect([await exists('one'), await exists('two')]).toEqual([true, true]);
});

test('nothing of it is done where a statement fails, or the work itself', async () => {
  const twice = inTransaction(db, async (ask) => [await make(ask, 'three'), await make(ask, 'three')]);
  await expect(twice).rejects.toMatchObject({ code: '23505' });
  const broken = inTransaction(db, async (ask) => {
    await make(ask, 'three');
    throw new Error('changed its mind');
  });
  await expect(broken).rejects.toThrow('changed its mind');
  expect(await exists('three')).toBe(false);
  await poolIsWell();
});

test('a connection that breaks half-way leaves nothing behind', async () => {
  const cut = inTransaction(db, async (ask) => {
    await make(ask, 'four');
    const [{ pid } = { pid: 0 }] = await ask<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await db.raw('SELECT pg_terminate_backend(?)', [pid]);
    await make(ask, 'five');
  });
  const error = await cut.catch((thrown: unknown) => thrown);
  expect(isConnectionError(error)).toBe(true);
  expect([await exists('four'), await exists('five')]).toEqual([false, false]);
  await poolIsWell();
});

test('a server that freezes before the end keeps nobody waiting for ever', async () => {
  const begun = performance.now();
  try {
    const frozen = inTransaction(db, async (ask) => {
      await make(ask, 'six');
      await postgres.kill('SIGSTOP');
    });
    const error = await frozen.catch((thrown: unknown) => thrown);
    expect(isConnectionError(error)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(15_000);
  } finally {
    await postgres.kill('SIGCONT');
  }
  await expect.poll(poolIsWell, { timeout: 10_000 }).toHaveLength(12);
});
