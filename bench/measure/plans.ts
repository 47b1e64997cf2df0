import type { Knex } from 'knex';
import type { Client } from 'pg';
import { activityByDay } from '../../src/postgres/activity.ts';
import { lastSeenPage, timeline } from '../../src/postgres/analytics.ts';
import { lastTransition, transitionsBefore } from '../../src/postgres/history.ts';
import { dropTransitions } from '../../src/postgres/retention.ts';
import { loadStoredUsers, recentlyLeft } from '../../src/postgres/users.ts';
import { short } from './statistics.ts';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Loops': number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Plan[];
}

/** How PostgreSQL answers the service's questions: each is asked by its own function, and its very text explained. */
export async function plansOf(client: Client, db: Knex, userId: string) {
  const now = Date.now();
  const questions: Record<string, () => Promise<unknown>> = {
    'a user remembered': () => loadStoredUsers(db, [userId]),
    'last transition': () => lastTransition(db, userId),
    'history, newest 50': () => transitionsBefore(db, userId, { from: null, to: null, version: null, limit: 50 }),
    'history of a day': () =>
      transitionsBefore(db, userId, { from: now - 86_400_000, to: now, version: null, limit: 50 }),
    'activity by day, 30 days': () => activityByDay(db, userId, now, 30),
    'who left within ten minutes, page of 500': () => recentlyLeft(db, now - 600_000, '', 500),
    'timeline of a day': () => timeline(db, now - 86_400_000, now, 60_000),
    'page of 1,000 last seen': () => lastSeenPage(db, userId, 1000),
    'retention, 1,000 of nothing old': () => dropTransitions(db, 90, 1000),
  };
  const rows: Record<string, string | number>[] = [];
  for (const [what, ask] of Object.entries(questions)) rows.push({ what, ...(await explain(client, db, ask)) });
  return rows;
}

/** What the names of partitions and of their indexes differ in. */
const PARTITION = /_(default|before|\d{4}_\d\d_\d\d)/;

async function explain(client: Client, db: Knex, ask: () => Promise<unknown>) {
  const asked: { sql: string; bindings: unknown[] }[] = [];
  const note = (query: { sql: string; bindings: unknown[] }) => asked.push(query);
  db.on('query', note);
  await ask().finally(() => db.removeListener('query', note));
  const { sql, bindings } = asked[0] ?? { sql: 'SELECT 1', bindings: [] };
  const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, bindings);
  const {
    Plan: plan,
    'Planning Time': planning,
    'Execution Time': ms,
  } = rows[0]['QUERY PLAN'][0] as { Plan: Plan; 'Planning Time': number; 'Execution Time': number };
  const nodes = flat(plan).filter((node) => node['Actual Loops'] > 0);
  const names = (list: (string | undefined)[]) =>
    [...new Set(list.map((name) => name?.replace(PARTITION, '_*')))].filter(Boolean).join(', ') || '–';
  const partitions = nodes.flatMap((node) =>
    PARTITION.test(node['Relation Name'] ?? '') ? node['Relation Name'] : [],
  );
  return {
    indexes: names(nodes.map((node) => node['Index Name'])),
    'read whole': names(nodes.filter(readsWhole).map((node) => node['Relation Name'])),
    partitions: new Set(partitions).size,
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    'planning ms': short(planning),
    ms: short(ms),
  };
}

/** Where there is nothing in a table, nothing is read. */
function readsWhole(node: Plan): boolean {
  return node['Node Type'] === 'Seq Scan' && node['Shared Hit Blocks'] + node['Shared Read Blocks'] > 0;
}

function flat(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)];
}
