import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { isRunning } from '../support/processes.ts';

let postgres: EmbeddedPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function rows(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test('a private PostgreSQL listens on this machine only and wants its password', async () => {
  expect(postgres.port).not.toBe(5432);
  expect(await rows(postgres.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
  const stranger = new URL(postgres.url);
  stranger.password = 'guess';
  await expect(rows(stranger.href, 'SELECT 1')).rejects.toThrow(/password/);
});

test('a database can be copied from another', async () => {
  const first = await postgres.createDatabase('first');
  await rows(first, 'CREATE TABLE people AS SELECT 7 AS id');
  const second = await postgres.createDatabase('second', 'first');
  expect(await rows(second, 'SELECT id FROM people')).toEqual([{ id: 7 }]);
});

test.for(['SIGKILL', 'SIGINT'] as const)(
  'ended by %s and started again, it has its data and its port',
  async (signal) => {
    const url = await postgres.createDatabase(`kept_${signal.toLowerCase()}`);
    await rows(url, 'CREATE TABLE people AS SELECT 7 AS id');
    await postgres.kill(signal);
    await expect(rows(url, 'SELECT 1')).rejects.toThrow();
    await postgres.start();
    expect(await rows(url, 'SELECT id FROM people')).toEqual([{ id: 7 }]);
  },
);

test('a restart cuts open connections and comes back', async () => {
  const client = new pg.Client({ connectionString: postgres.url });
  // Told twice: by the server's farewell and by the closed socket.
  const cut = new Promise((resolve) => client.on('error', resolve));
  await client.connect();
  await postgres.restart();
  await cut;
  expect(await rows(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('frozen, not even an open connection is answered; thawed, it is', async () => {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await postgres.kill('SIGSTOP');
  let answered = false;
  const answer = client.query('SELECT 1 AS one').then((result) => {
    answered = true;
    return result.rows;
  });
  // The query alone takes about a millisecond.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(answered).toBe(false);
  await postgres.kill('SIGCONT');
  expect(await answer).toEqual([{ one: 1 }]);
  await client.end();
});

test('stopped, it is gone, and stopping again is harmless', async () => {
  const other = await startPostgres();
  const { pid } = other;
  await other.stop();
  await other.stop();
  expect(isRunning(pid)).toBe(false);
});
