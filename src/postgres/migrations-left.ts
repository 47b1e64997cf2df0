import { readdir } from 'node:fs/promises';
import type { Knex } from 'knex';
import { query } from './connect.ts';
import { MIGRATION_LOCK, MIGRATIONS } from './migrate.ts';

export interface MigrationsLeft {
  /** How many steps this version of the program has, and how many of them are still to be done. */
  all: number;
  left: number;
  /** Somebody is at it. */
  running: boolean;
}

/** How far the database is behind this version of the program. */
export async function migrationsLeft(db: Knex): Promise<MigrationsLeft> {
  const names = (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.ts'));
  const [row] = await query<{ left: string; running: boolean }>(
    db,
    `SELECT (SELECT count(*) FROM unnest(?::text[]) AS step (name)
              WHERE NOT EXISTS (SELECT FROM knex_migrations WHERE knex_migrations.name = step.name)) AS left,
            EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                     WHERE locktype = 'advisory' AND datname = current_database()
                       AND classid = 0 AND objid = ? AND granted) AS running`,
    [names, MIGRATION_LOCK],
  );
  return { all: names.length, left: Number(row?.left ?? 0), running: row?.running ?? false };
}

/** About how many users there are, as the planner believes; null: it does not know. */
export async function usersAbout(db: Knex): Promise<number | null> {
  const [row] = await query<{ n: number }>(
    db,
    `SELECT reltuples AS n FROM pg_class WHERE oid = to_regclass('users')`,
    [],
  );
  return row && row.n >= 0 ? Math.round(row.n) : null;
}
