import knex, { type Knex } from 'knex';
import type { Config, DatabaseSsl } from '../config.ts';
import type { Logger } from '../log.ts';

export type DatabaseSettings = Pick<Config, 'databaseUrl' | 'databaseSsl'>;

/** Small plans allow 20 connections in all: two processes and a migration have to fit. */
const POOL_MAX = 5;
const CONNECT_LIMIT_MS = 2000;
/** Waiting for a free connection of the pool included. */
const ACQUIRE_LIMIT_MS = 3000;
const STATEMENT_LIMIT_MS = 10_000;
/** Beyond the server's own limit: only reached where the connection is dead without saying so. */
export const ANSWER_LIMIT_MS = 12_000;

/** A pool that opens its first connection when it is first used, so that a process can start without PostgreSQL. */
export function connectPostgres(settings: DatabaseSettings, log?: Logger): Knex {
  return knex({
    client: 'pg',
    connection: {
      ...connectionTo(settings),
      application_name: 'rollcall',
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      statement_timeout: STATEMENT_LIMIT_MS,
      idle_in_transaction_session_timeout: STATEMENT_LIMIT_MS,
      keepAlive: true,
    },
    pool: { min: 0, max: POOL_MAX },
    acquireConnectionTimeout: ACQUIRE_LIMIT_MS,
    // Values are people's data and have no place in an error's text.
    compileSqlOnError: false,
    log: quietLog(log),
  });
}

/** `DATABASE_SSL` wins over an `sslmode` in the address, which pg would otherwise prefer. */
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

/** One statement. Its answer is awaited for so long and no longer; a connection that owes one is thrown away. */
export async function query<Row>(db: Knex, sql: string, bindings: readonly Binding[]): Promise<Row[]> {
  const { rows } = await db.raw<{ rows: Row[] }>(sql, [...bindings] as Knex.RawBinding[]).timeout(ANSWER_LIMIT_MS);
  return rows;
}

/** Knex writes to the console by itself otherwise; whatever matters it throws as well. */
export function quietLog(log: Logger | undefined) {
  const pass = (level: 'debug' | 'warn' | 'error') => (message: unknown) =>
    log?.[level]({ from: 'knex' }, String(message));
  return { debug: pass('debug'), warn: pass('debug'), deprecate: pass('warn'), error: pass('error') };
}
