import type { Knex } from 'knex';
import type { Client } from 'pg';
import { makePartitions } from '../../src/postgres/partitions.ts';

/** The n-th user, as the statements below write it too. */
export const idOf = (n: number) => `user-${String(n).padStart(9, '0')}`;

const ID = `'user-' || lpad(n::text, 9, '0')`;

const DAY_MS = 86_400_000;

/** A history kept for so long has partitions for all of that time, as though workers had made them day by day. */
export async function partitionPast(db: Knex, retentionDays: number): Promise<void> {
  await db.raw('DROP TABLE status_transitions_before');
  const now = Date.now();
  for (const at of [now - retentionDays * DAY_MS, now]) await makePartitions(db, retentionDays, at);
}

/** Users last seen at some time in the last 30 days, each with the transition that says so. */
export async function fillHistory(client: Client, users: number): Promise<void> {
  await client.query(
    `INSERT INTO users (id, last_seen, version)
     SELECT ${ID}, now() - random() * interval '30 days', 1 FROM generate_series(0, $1::int - 1) AS n`,
    [users],
  );
  await client.query(
    `INSERT INTO status_transitions (user_id, version, at, status, cause, last_seen)
     SELECT id, 1, last_seen, 'inactive', 'timeout', last_seen FROM users`,
  );
  for (const table of ['users', 'status_transitions']) await client.query(`VACUUM ANALYZE ${table}`);
}
