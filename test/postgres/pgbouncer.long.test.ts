import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPgBouncer } from '../../scripts/embedded/pgbouncer.ts';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { connectPostgres, query } from '../../src/postgres/connect.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { inTransaction } from '../../src/postgres/transaction.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

let postgres: EmbeddedPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

const MODES = ['transaction', 'session'] as const;

test.each(MODES)(
  'behind a PgBouncer in %s mode with its defaults all works: presence, history, settings, blocks, erasure',
  async (mode) => {
    const pooler = await startPgBouncer(postgres.url, { mode });
    const databaseUrl = pooler.through(await postgres.createDatabase(`defaults_${mode}`));
    await migrate(databaseUrl);
    const rollcall = await Deployment.start(`pgbouncer ${mode}`, { databaseUrl, webs: 2, workers: 2, env: CALM });
    try {
      // Four processes that start together may take a second for their first look.
      const { status, body } = await eventually(
        () => rest(rollcall.url, 'GET', '/readyz'),
        (answer) => Object.keys(answer.body.reasons).length === 0,
        20_000,
      );
      expect([status, body]).toMatchObject([200, { postgres: true, reasons: {} }]);
      const watcher = await TestClient.connect(rollcall.web(1).url, 'watcher', { watch: ['ada'] });
      const ada = await TestClient.connect(rollcall.url, 'ada');
      await watcher.hears('ada', isActive);
      const token = await tokenFor('ada');
      const put = (path: string, body?: object) =>
        rest(rollcall.url, 'PUT', path, { token, ...(body ? { body } : {}) });
      expect((await put('/users/ada/settings', { visibility: 'nobody' })).status).toBe(200);
      await watcher.hears('ada', isInactive);
      expect((await put('/users/ada/settings', { visibility: 'everyone' })).status).toBe(200);
      const blocked = await Promise.all(Array.from({ length: 20 }, (_, n) => put(`/users/ada/blocks/stranger-${n}`)));
      expect(blocked.map((answer) => answer.status)).toEqual(blocked.map(() => 204));
      ada.leave();
      const history = await eventually(
        () => rest(rollcall.url, 'GET', '/users/ada/history', { token }),
        (answer) => answer.body.transitions?.length === 2,
        10_000,
      );
      expect(history.body.transitions.map((row: { cause: string }) => row.cause)).toEqual(['disconnect', 'connect']);
      expect((await rest(rollcall.url, 'DELETE', '/users/ada', { token })).status).toBe(204);
      for (const { lines } of [...rollcall.webs, ...rollcall.workers]) {
        // That a busy machine was too slow for a connection is no matter of the pooler.
        const said = lines.filter((line) => line.includes('PostgreSQL') && !/timeout expired|used again/.test(line));
        expect(said).toEqual([]);
      }
      expect(rollcall.faults).toEqual([]);
    } finally {
      await rollcall.stop();
      await pooler.stop();
    }
  },
  90_000,
);

test.each(MODES)(
  'in %s mode a pool of a single connection is enough to migrate, also for two machines at once',
  async (mode) => {
    const pooler = await startPgBouncer(postgres.url, { mode, poolSize: 1 });
    try {
      const databaseUrl = pooler.through(await postgres.createDatabase(`one_${mode}`));
      const [first, second] = await Promise.all([migrate(databaseUrl), migrate(databaseUrl)]);
      expect([...first, ...second]).toHaveLength(Math.max(first.length, second.length));
      expect(first.length + second.length).toBeGreaterThan(3);
    } finally {
      await pooler.stop();
    }
  },
);

test('what one client of the pool needs changes nothing for others that are lent the same connection', async () => {
  const pooler = await startPgBouncer(postgres.url, { mode: 'transaction', poolSize: 1 });
  const databaseUrl = pooler.through(await postgres.createDatabase('lent'));
  const operator = connectPostgres({ databaseUrl: postgres.url, databaseSsl: 'by-url' });
  await operator.raw(`ALTER DATABASE lent SET datestyle = 'German'`);
  await operator.destroy();
  const [ours, theirs] = [0, 1].map(() => connectPostgres({ databaseUrl, databaseSsl: 'by-url' }));
  if (!ours || !theirs) throw new Error('nobody');
  try {
    const state = 'SELECT name, setting FROM pg_settings WHERE name <> ALL (?::text[]) ORDER BY name';
    // The pooler sets these for each client itself.
    const own = [['application_name', 'transaction_deferrable', 'in_hot_standby']];
    const before = await query(theirs, state, own);
    await inTransaction(ours, (ask) => ask('SELECT 1'));
    await inTransaction(ours, (ask) => ask('SELECT 1 / 0')).catch(() => {});
    expect(await query(theirs, state, own)).toEqual(before);
    for (const client of [ours, theirs]) {
      const at = `SELECT timestamptz '2025-11-03 20:01:02Z' AS at`;
      expect(await query(client, at, [])).toEqual([{ at: new Date('2025-11-03T20:01:02Z') }]);
    }
  } finally {
    await Promise.all([ours.destroy(), theirs.destroy()]);
    await pooler.stop();
  }
});
