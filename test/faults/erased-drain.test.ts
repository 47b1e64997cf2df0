import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/**
 * What is said in the name of somebody between the two steps of their erasure stands in the outbox behind it. The erasure is
 * acknowledged when the next entries are taken, and then whoever records those has to know of it.
 */
let rollcall: Deployment;
/** Two hold up what is to be looked at, one looks. */
let [locker, other, looker]: pg.Client[] = [];

beforeAll(async () => {
  rollcall = await Deployment.start('erased drain', { env: CALM });
  [locker, other, looker] = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const client = new pg.Client({ connectionString: rollcall.env.DATABASE_URL ?? '' });
      await client.connect();
      return client;
    }),
  );
});
afterAll(async () => {
  await Promise.all([locker, other, looker].map((client) => client?.end()));
  await rollcall?.stop();
});

const rowsOf = (userId: string) => rollcall.db('users').where({ id: userId });
const neighbourOf = (userId: string, n: number) =>
  Array.from({ length: 2000 }, (_, k) => `beside-${n}-${userId}-${k}`).find((id) => shardOf(id) === shardOf(userId)) ??
  '';

async function hold(client: pg.Client | undefined, userId: string): Promise<void> {
  await client?.query('BEGIN');
  await client?.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [userId]);
}

/** The server's process that waits for a lock. */
async function waiting(): Promise<number> {
  const [pid = 0] = await eventually(
    async () => {
      const found = await looker?.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'rollcall' AND wait_event_type = 'Lock'`,
      );
      return found?.rows.map((row) => row.pid) ?? [];
    },
    (pids) => pids.length > 0,
  );
  return pid;
}

const ends: Record<string, (pid: number) => Promise<unknown>> = {
  'whoever records it dies': async () => {
    await Promise.all(rollcall.workers.map((worker) => worker.end()));
    return rollcall.addWorker();
  },
  'PostgreSQL hangs up on whoever records it': async (pid) => looker?.query('SELECT pg_terminate_backend($1)', [pid]),
};

test.each(Object.keys(ends))(
  'nobody who was erased is back where %s between the erasure and what stands behind it',
  async (what) => {
    const userId = `gone-${Object.keys(ends).indexOf(what)}`;
    const [beside, later] = [neighbourOf(userId, 1), neighbourOf(userId, 2)];
    const clients = await Promise.all([userId, beside].map((id) => TestClient.connect(rollcall.url, id)));
    for (const id of [userId, beside]) {
      await eventually(
        () => rowsOf(id).first(),
        (row) => row?.status === 'active',
      );
    }
    await hold(locker, userId);
    await hold(other, beside);
    // By oneself: what a service does is noted first, and the note waits for the row that is held up here.
    const erasing = rest(rollcall.url, 'DELETE', `/users/${userId}`, { token: await tokenFor(userId) });
    await waiting();
    const out = await rest(rollcall.url, 'POST', '/users/logout', { token: await tokenFor(userId), body: {} });
    expect(out.status).toBeLessThan(300);
    clients[1]?.leave();
    await eventually(
      () => rollcall.redis.exists(rollcall.key(`user:status:${beside}`)),
      (there) => there === 0,
    );
    await locker?.query('COMMIT');
    await eventually(
      () => rowsOf(userId),
      (rows) => rows.length === 0,
    );
    const pid = await waiting();
    await ends[what]?.(pid);
    await other?.query('COMMIT');
    const neighbour = await TestClient.connect(rollcall.url, later);
    await eventually(
      () => rowsOf(later),
      (rows) => rows.length === 1,
    );
    expect(await rowsOf(userId)).toEqual([]);
    expect((await rowsOf(beside).first())?.status).toBe('inactive');
    await eventually(
      () => rollcall.redis.exists(`${rollcall.prefix}presence:outbox:s${shardOf(userId)}:gone`),
      (there) => there === 0,
    );
    await erasing;
    for (const client of [...clients, neighbour]) client.leave();
  },
);
