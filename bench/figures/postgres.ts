import type { Knex } from 'knex';
import pg from 'pg';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { dropPartitions, makePartitions } from '../../src/postgres/partitions.ts';
import { moveLastSeen } from '../../src/postgres/users.ts';
import { pacedWork } from '../load/pace.ts';
import { type Figure, say } from '../measure/figure.ts';
import { plansOf } from '../measure/plans.ts';
import { childrenOf } from '../measure/processes.ts';
import { short } from '../measure/statistics.ts';
import { fillHistory, idOf, partitionPast } from '../measure/table-filling.ts';
import { tableUse } from '../measure/table-use.ts';

const BATCH = 500;
const RETENTION_DAYS = 90;

/** Updates of last seen and recorded changes in large tables, through the service's own functions, and plans of its questions. */
export const postgres: Figure = {
  title: 'PostgreSQL with many users: updates of last seen, changes, plans',
  seconds: { full: 420, quick: 50 },
  measure: async (scale) => {
    const users = scale.pick(10_000_000, 200_000);
    const seconds = scale.pick(60, 8);
    // Durable: without whole pages in the WAL and waits for the disk it would not be what a deployment has.
    const server = await startPostgres({ durable: true });
    const databaseUrl = await server.createDatabase('bench');
    const client = new pg.Client({ connectionString: databaseUrl });
    const db = connectPostgres({ databaseUrl, databaseSsl: 'by-url' });
    try {
      await migrate(databaseUrl);
      await client.connect();
      await partitionPast(db, RETENTION_DAYS);
      await fillHistory(client, users);
      say(`${users} users and as many transitions are there`);
      const pids = () => [server.pid, ...childrenOf(server.pid)];
      const work = (perSecond: number, write: (ids: string[]) => Promise<void>) => () =>
        pacedWork((perSecond * seconds) / BATCH, { perSecond: perSecond / BATCH, atOnce: 4 }, () =>
          write(Array.from({ length: BATCH }, () => idOf(Math.floor(Math.random() * users)))),
        );
      const seen = await tableUse(
        client,
        pids,
        5000 * seconds,
        work(5000, (ids) =>
          moveLastSeen(
            db,
            ids.map((userId) => ({ userId, lastSeen: Date.now() })),
          ),
        ),
      );
      const changed = await tableUse(
        client,
        pids,
        1000 * seconds,
        work(1000, (ids) =>
          recordChanges(
            db,
            [...new Set(ids)].map((userId) => {
              const [at, status] = [Date.now(), Math.random() < 0.5 ? 'active' : 'inactive'] as const;
              const change = { userId, status, lastSeen: at, version: at, at, cause: 'connect' } as const;
              return { change, clearsHidden: false, transition: true };
            }),
          ),
        ),
      );
      return {
        rows: [],
        tables: {
          [`Writes to ${users} users, by write`]: [
            { what: 'last seen, 5,000 a second', ...seen },
            { what: 'changes, 1,000 a second', ...changed },
          ],
          [`Questions to ${users} users`]: await plansOf(client, db, idOf(users >> 1)),
          'Upkeep of their history': await upkeep(client, db, idOf(users >> 1)),
        },
        notes: [
          'right after a checkpoint, when each page that is touched first goes into the WAL whole: the dearest minutes',
        ],
      };
    } finally {
      await db.destroy();
      await client.end();
      await server.stop();
    }
  },
};

/** What the worker does beside, and an erasure; the oldest partition that has rows goes. */
async function upkeep(client: pg.Client, db: Knex, userId: string) {
  const rowsOf = async () => Number((await client.query('SELECT count(*) FROM status_transitions')).rows[0].count);
  const rows: Record<string, string | number>[] = [];
  const note = async (what: string, work: () => Promise<unknown>) => {
    const before = await rowsOf();
    const from = performance.now();
    await work();
    const ms = short(performance.now() - from);
    rows.push({ what, 'rows gone': before - (await rowsOf()), ms });
  };
  const now = Date.now();
  await note('a user erased', () => eraseUser(db, userId, now));
  await note('a partition made', () => makePartitions(db, RETENTION_DAYS, now + 6 * 86_400_000));
  await note('partitions dropped', () => dropPartitions(db, 24, now));
  return rows;
}
