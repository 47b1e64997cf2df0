import pg from 'pg';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { recordChanges } from '../../src/postgres/history.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { moveLastSeen } from '../../src/postgres/users.ts';
import { pacedWork } from '../load/pace.ts';
import { type Figure, say } from '../measure/figure.ts';
import { plansOf } from '../measure/plans.ts';
import { childrenOf } from '../measure/processes.ts';
import { fillHistory, idOf } from '../measure/table-filling.ts';
import { tableUse } from '../measure/table-use.ts';

const BATCH = 500;

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
