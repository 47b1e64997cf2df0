import type { Client } from 'pg';
import { cpuMs, type Pids } from './processes.ts';
import { short } from './statistics.ts';

/** A connection that falls idle keeps what it counted last for ten seconds; sooner, it would be counted with the next work. */
const HANDED_OVER_SECONDS = 11;

/** What some work on `users` costs PostgreSQL: WAL and CPU by write, and what it leaves in the table. */
export async function tableUse(client: Client, pids: Pids, writes: number, work: () => Promise<void>) {
  await client.query('CHECKPOINT');
  const before = await look(client);
  const [cpu, from] = [cpuMs(pids), performance.now()];
  await work();
  const [spent, seconds] = [cpuMs(pids) - cpu, (performance.now() - from) / 1000];
  await client.query('SELECT pg_sleep($1)', [HANDED_OVER_SECONDS]);
  const after = await look(client);
  const updates = after.updated - before.updated;
  return {
    'a second': short(writes / seconds),
    'WAL bytes': short((after.wal - before.wal) / writes),
    'CPU µs': short((spent * 1000) / writes),
    'HOT %': short((100 * (after.hot - before.hot)) / updates),
    'dead rows': after.dead,
    'table before, MiB': short(before.size / 2 ** 20),
    'table growth, MiB': short((after.size - before.size) / 2 ** 20),
    'index growth, MiB': short((after.indexes - before.indexes) / 2 ** 20),
  };
}

type Look = Record<'wal' | 'updated' | 'hot' | 'dead' | 'size' | 'indexes', number>;

async function look(client: Client): Promise<Look> {
  const { rows } = await client.query<Record<string, string>>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal, n_tup_upd AS updated, n_tup_hot_upd AS hot,
            n_dead_tup AS dead, pg_relation_size(relid) AS size, pg_indexes_size(relid) AS indexes
       FROM pg_stat_user_tables WHERE relname = 'users'`,
  );
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value)])) as Look;
}
