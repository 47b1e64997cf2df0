import { fileURLToPath } from 'node:url';
import knex, { type Knex } from 'knex';
import type { DatabaseSsl } from '../config/config.ts';
import { connectionTo, quietLog } from './connect.ts';
import { postgresClient } from './pool.ts';

/** Any fixed number will do, as long as nothing else in the same database takes the same one. */
export const MIGRATION_LOCK = 7_655_265;

/** The folder of the steps. */
export const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));

const migrations: Knex.MigratorConfig = {
  directory: MIGRATIONS,
  extension: 'ts',
  loadExtensions: ['.ts'],
};

/** Knex's settings for migrations; without limits on time, since a step may rightly take long. */
export function migrationConfig(databaseUrl: string, ssl: DatabaseSsl): Knex.Config {
  const connection = { ...connectionTo({ databaseUrl, databaseSsl: ssl }), connectionTimeoutMillis: 10_000 };
  return {
    client: postgresClient,
    connection,
    pool: { min: 0, max: 1 },
    compileSqlOnError: false,
    log: quietLog(undefined),
    migrations,
  };
}

/** Brings the database up to date and returns the names of the steps that were run. Safe to run from two machines at once. */
export function migrate(databaseUrl: string, ssl: DatabaseSsl = 'by-url'): Promise<string[]> {
  return underLock(databaseUrl, ssl, async (db) => {
    // A run that was killed half-way may have left Knex's own lock behind; under ours nobody else can hold it.
    await db.migrate.forceFreeMigrationsLock();
    const [, names]: [number, string[]] = await db.migrate.latest();
    return names;
  });
}

/** Takes every step back, the newest first: the tables and what is in them are gone. */
export function revertAll(databaseUrl: string, ssl: DatabaseSsl = 'by-url'): Promise<string[]> {
  return underLock(databaseUrl, ssl, async (db) => {
    const [, names]: [number, string[]] = await db.migrate.rollback({}, true);
    return names;
  });
}

/**
 * Knex creates its tables without a lock, so two runs on an empty database collide. The lock is held by the transaction in which
 * all of it is done: that takes one connection, works behind a connection pooler too, even one that has no other, and ends with
 * the process, however that ends.
 */
async function underLock<T>(databaseUrl: string, ssl: DatabaseSsl, work: (db: Knex) => Promise<T>): Promise<T> {
  const db = knex(migrationConfig(databaseUrl, ssl));
  const locked = <R>(act: (holder: Knex) => Promise<R>) =>
    db.transaction(async (holder) => {
      await holder.raw('SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0');
      await holder.raw('SELECT pg_advisory_xact_lock(?)', [MIGRATION_LOCK]);
      return await act(holder);
    });
  try {
    // Knex's own tables come first and stay, whatever becomes of the steps.
    await locked((holder) => holder.migrate.currentVersion());
    return await locked(work);
  } finally {
    await db.destroy();
  }
}
