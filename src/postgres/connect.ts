import knex, { type Knex } from 'knex';
import type { Config, DatabaseSsl } from '../config/config.ts';
import type { Logger } from '../log.ts';
import { postgresClient } from './pool.ts';

export type DatabaseSettings = Pick<Config, 'databaseUrl' | 'databaseSsl'>;

/** Small plans allow 20 connections in all: two processes and a migration have to fit. */
const POOL_MAX = 5;
const CONNECT_LIMIT_MS = 2000;
/** Waiting for a free connection of the pool included. */
const ACQUIRE_LIMIT_MS = 3000;
/** For an answer, on this side: a pooler lets nobody set a limit for a connection of its own. */
export const ANSWER_LIMIT_MS = 12_000;
/** A connection is opened anew after so long, and up to a tenth more: its address may lead to another server by now. */
const AGE_LIMIT_MS = 600_000;
const AGE_JITTER_MS = 60_000;

/** A pool that opens its first connection when it is first used, so that a process can start without PostgreSQL. */
export function connectPostgres(settings: DatabaseSettings, log?: Logger): Knex {
  return knex({
    client: postgresClient,
    connection: {
      ...connectionTo(settings),
      application_name: 'rollcall',
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      keepAlive: true,
    },
    pool: {
      min: 0,
      max: POOL_MAX,
      maxConnectionLifetimeMillis: AGE_LIMIT_MS,
      maxConnectionLifetimeJitterMillis: AGE_JITTER_MS,
    },
    acquireConnectionTimeout: ACQUIRE_LIMIT_MS,
    // Values are people's data and have no place in an error's text.
    compileSqlOnError: false,
    log: quietLog(log),
  });
}

/**
 * The settings by which pg connects. `DATABASE_SSL` wins over an `sslmode` in the address, which pg would otherwise
 * prefer.
 */
export function connectionTo({ databaseUrl, databaseSsl }: DatabaseSettings) {
  if (databaseSsl === 'by-url') return { connectionString: databaseUrl };
  const url = new URL(databaseUrl);
  for (const name of [...url.searchParams.keys()]) {
    if (name.startsWith('ssl') || name === 'uselibpqcompat') url.searchParams.delete(name);
  }
  return { connectionString: url.href, ssl: tlsOptions(databaseSsl) };
}

function tlsOptions(ssl: Exclude<DatabaseSsl, 'by-url'>) {
  return ssl === 'off' ? false : { rejectUnauthorized: ssl === 'verify' };
}

/** Lists become PostgreSQL arrays, which Knex's own type allows only without null in them. */
export type Binding = string | number | boolean | null | readonly (string | number | null)[];

/**
 * Asks one statement and returns its rows. The answer is awaited for a limited time; then the server is asked to stop,
 * and a connection that owes an answer is thrown away. Rejects with pg's errors (`isConnectionError`).
 */
export async function query<Row>(db: Knex, sql: string, bindings: readonly Binding[]): Promise<Row[]> {
  const asked = db.raw<{ rows: Row[] }>(sql, [...bindings] as Knex.RawBinding[]);
  return (await asked.timeout(ANSWER_LIMIT_MS, { cancel: true })).rows;
}

/** A log for Knex, which would write to the console by itself; whatever matters it throws as well. */
export function quietLog(log: Logger | undefined) {
  const pass = (level: 'debug' | 'warn' | 'error') => (message: unknown) =>
    log?.[level]({ from: 'knex' }, String(message));
  return { debug: pass('debug'), warn: pass('debug'), deprecate: pass('warn'), error: pass('error') };
}
