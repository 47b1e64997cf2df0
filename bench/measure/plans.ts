import type { Knex } from 'knex';
import type { Client } from 'pg';
import { activityByDay } from '../../src/postgres/activity.ts';
import { lastSeenPage, timeline } from '../../src/postgres/analytics.ts';
import { lastTransition } from '../../src/postgres/history.ts';
import { dropTransitions } from '../../src/postgres/retention.ts';
import { loadMemories } from '../../src/postgres/users.ts';
import { short } from './statistics.ts';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Plan[];
}

/** How PostgreSQL answers the service's questions: each is asked by its own function, and its very text explained. */
export async function plansOf(client: Client, db: Knex, userId: string) {
  const now = Date.now();
  const questions: Record<string, () => Promise<unknown>> = {
    'a user remembered': () => loadMemories(db, [userId]),
    'last transition': () => lastTransition(db, userId),
    'activity by day, 30 days': () => activityByDay(db, userId, now, 30),
    'timeline of a day': () => timeline(db, now - 86_400_000, now, 60_000),
    'page of 1,000 last seen': () => lastSeenPage(db, userId, 1000),
    'retention, 1,000 of nothing old': () => dropTransitions(db, 90, 1000),
  };
  const rows: Record<string, string | number>[] = [];
  for (const [what, ask] of Object.entries(questions)) rows.push({ what, ...(await explain(client, db, ask)) });
  return rows;
}

async function explain(client: Client, db: Knex, ask: () => Promise<unknown>) {
  const asked: { sql: string; bindings: unknown[] }[] = [];
  const note = (query: { sql: string; bindings: unknown[] }) => asked.push(query);
  db.on('query', note);
  await ask().finally(() => db.removeListener('query', note));
  const { sql, bindings } = asked[0] ?? { sql: 'SELECT 1', bindings: [] };
  const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`, bindings);
  const { Plan: plan, 'Execution Time': ms } = rows[0]['QUERY PLAN'][0] as { Plan: Plan; 'Execution Time': number };
  const nodes = flat(plan);
  const names = (list: (string | undefined)[]) => [...new Set(list)].filter(Boolean).join(', ') || '–';
  return {
    indexes: names(nodes.map((node) => node['Index Name'])),
    'read whole': names(nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name'])),
    pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
    ms: short(ms),
  };
}

function flat(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)];
}
