import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import knex, { type Knex } from 'knex';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { MIGRATION_LOCK, migrate, migrationConfig, revertAll } from '../../src/postgres/migrate.ts';

const script = fileURLToPath(new URL('../../scripts/migrate.ts', import.meta.url));
const created: string[] = [];
let server: pg.Client;

beforeAll(async () => {
  server = new pg.Client({ connectionString: inject('sharedStores').postgresUrl });
  await server.connect();
});

afterAll(async () => {
  for (const name of created) await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await server.end();
});

async function emptyDatabase(): Promise<string> {
  const name = `migrate_${process.pid}_${created.length}`;
  await server.query(`CREATE DATABASE ${name}`);
  created.push(name);
  const url = new URL(inject('sharedStores').postgresUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function runScript(databaseUrl: string): Promise<{ code: number; output: string; problems: string }> {
  const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl } });
  const [output, problems, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, output, problems };
}

async function look<T>(databaseUrl: string, at: (db: Knex) => Promise<T>): Promise<T> {
  const db = knex(migrationConfig(databaseUrl, 'by-url'));
  try {
    return await at(db);
  } finally {
    await db.destroy();
  }
}

const appliedIn = (databaseUrl: string): Promise<string[]> =>
  look(databaseUrl, (db) => db('knex_migrations').orderBy('id').pluck('name'));

test('four machines that migrate an empty database at the same moment run every step exactly once', async () => {
  const databaseUrl = await emptyDatabase();
  const starter = new pg.Client({ connectionString: databaseUrl });
  await starter.connect();
  await starter.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
  const runs = Promise.all(Array.from({ length: 4 }, () => runScript(databaseUrl)));
  const waiting = `SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted`;
  await expect.poll(async () => (await starter.query(waiting)).rowCount, { timeout: 60_000 }).toBe(4);
  expect((await starter.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'public'`)).rowCount).toBe(0);
  await starter.end();

  const ended = await runs;
  expect(ended.map(({ code, problems }) => ({ code, problems }))).toEqual(ended.map(() => ({ code: 0, problems: '' })));
  expect(ended.filter(({ output }) => output.includes('applied'))).toHaveLength(1);
  const names = await appliedIn(databaseUrl);
  expect(names).toEqual([...new Set(names)].sort());
  expect(names.length).toBeGreaterThanOrEqual(3);
});

test('every step can be taken back and taken again', async () => {
  const databaseUrl = await emptyDatabase();
  const names = await migrate(databaseUrl);
  expect(await migrate(databaseUrl)).toEqual([]);
  expect(await revertAll(databaseUrl)).toHaveLength(names.length);
  const left = await look(databaseUrl, (db) => db('pg_tables').where({ schemaname: 'public' }).pluck('tablename'));
  expect(left.sort()).toEqual(['knex_migrations', 'knex_migrations_lock']);
  expect(await migrate(databaseUrl)).toEqual(names);
});

test('a run that was killed half-way does not block the next one', async () => {
  const databaseUrl = await emptyDatabase();
  await migrate(databaseUrl);
  await look(databaseUrl, (db) => db('knex_migrations_lock').update({ is_locked: 1 }));
  expect((await runScript(databaseUrl)).code).toBe(0);
});

test('a failed migration ends with 1 and says why, without the password', async () => {
  const databaseUrl = await emptyDatabase();
  await look(databaseUrl, (db) => db.raw('CREATE TABLE status_transitions (unexpected text)'));
  const failed = await runScript(databaseUrl);
  expect(failed).toMatchObject({ code: 1, output: '' });
  expect(failed.problems).toMatch(/The migration failed: .*status_transitions.* already exists/s);
  expect(await appliedIn(databaseUrl)).toEqual([]);

  const away = await runScript('postgres://somebody:hush@127.0.0.1:1/nowhere');
  expect(away).toMatchObject({ code: 1, output: '' });
  expect(away.problems).toMatch(
    /^The migration failed: PostgreSQL is not answering: nothing listens where DATABASE_URL leads .*ECONNREFUSED/,
  );
  expect(away.problems).not.toContain('hush');

  const unset = await runScript('');
  expect(unset).toMatchObject({ code: 1 });
  expect(unset.problems).toContain('DATABASE_URL is required');
});
