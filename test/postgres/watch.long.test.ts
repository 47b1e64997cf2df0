import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { PostgresWatch } from '../../src/postgres/watch.ts';
import { migrate } from '../support/migrate.ts';
import { privatePostgres } from '../support/stores.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const end of ending.splice(0).reverse()) await end();
});

/** What a process would log of this database, and the way to have it looked at now. */
function watched(databaseUrl: string) {
  const lines: { level: number; msg: string; reason?: string }[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const db = connectPostgres({ databaseUrl, databaseSsl: 'by-url' });
  const watch = new PostgresWatch(db, log);
  ending.push(() => db.destroy());
  return { lines, watch, db };
}

const altered = (url: string, change: (url: URL) => void) => {
  const other = new URL(url);
  change(other);
  return other.href;
};

test('what is wrong with DATABASE_URL is said in a sentence, and logged', async () => {
  const postgres: EmbeddedPostgres = await startPostgres();
  ending.push(() => postgres.stop());
  const databaseUrl = await postgres.createDatabase('rollcall');
  const wrong: [string, RegExp][] = [
    [altered(databaseUrl, (url) => (url.password = 'not-this-one')), /refuses the password in DATABASE_URL \(28P01\)/],
    [altered(databaseUrl, (url) => (url.pathname = '/nowhere')), /no database of the name in DATABASE_URL \(3D000\)/],
    [
      altered(databaseUrl, (url) => (url.port = '1')),
      /PostgreSQL is not answering: nothing listens where DATABASE_URL leads \(ECONNREFUSED\)/,
    ],
    [
      altered(databaseUrl, (url) => url.searchParams.set('sslmode', 'verify-full')),
      /TLS to PostgreSQL fails: see DATABASE_SSL/,
    ],
    [databaseUrl, /npm run migrate/],
  ];
  for (const [url, sentence] of wrong) {
    const { watch, lines } = watched(url);
    expect(await watch.look()).toMatch(sentence);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 40, msg: expect.stringContaining('PostgreSQL cannot be used') });
    expect(lines[0]?.reason).toMatch(sentence);
    expect(JSON.stringify(lines)).not.toContain('not-this-one');
  }
});

test('a database that is not migrated is told apart from one that is, and from one of an older release', async () => {
  const postgres: EmbeddedPostgres = await startPostgres();
  ending.push(() => postgres.stop());
  const databaseUrl = await postgres.createDatabase('rollcall');
  const { watch, lines } = watched(databaseUrl);
  expect(await watch.look()).toMatch(/npm run migrate/);
  await migrate(databaseUrl);
  expect(await watch.look()).toBeNull();
  expect(lines.map(({ msg }) => msg).at(-1)).toBe('PostgreSQL can be used again');
  const later = watched(databaseUrl);
  const db = connectPostgres({ databaseUrl, databaseSsl: 'by-url' });
  ending.push(() => db.destroy());
  await db.raw('DELETE FROM knex_migrations WHERE id = (SELECT max(id) FROM knex_migrations)');
  expect(await later.watch.look()).toMatch(/^PostgreSQL lacks 1 of \d+ migrations: run npm run migrate\.$/);
});

test('a loss is logged at once, then each minute, and its end; while all is well nothing is', async () => {
  const { postgres, databaseUrl } = await privatePostgres();
  ending.push(() => postgres.stop());
  const { watch, lines } = watched(databaseUrl);
  expect([await watch.look(), await watch.look(), lines]).toEqual([null, null, []]);
  await postgres.shutdown();
  let now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  ending.push(() => clock.mockRestore());
  for (let seconds = 0; seconds < 150; seconds += 5, now += 5000) await watch.look();
  expect(lines).toHaveLength(3);
  for (const line of lines) expect(line.reason).toContain('nothing listens where DATABASE_URL leads');
  clock.mockRestore();
  await postgres.start();
  expect(await watch.look()).toBeNull();
  expect(lines.slice(3)).toMatchObject([{ level: 30, msg: 'PostgreSQL can be used again' }]);
});

test('a process that is too busy with its own start to have a connection in time says nothing, unless it is so once more', async () => {
  const { postgres, databaseUrl } = await privatePostgres();
  ending.push(() => postgres.stop());
  await migrate(databaseUrl);
  const { watch, lines, db } = watched(databaseUrl);
  const { client } = db;
  const holdAll = () => Promise.all(Array.from({ length: 5 }, () => client.acquireConnection()));
  const release = (held: unknown[]) => Promise.all(held.map((connection) => client.releaseConnection(connection)));
  const held = await holdAll();
  const failed = () => void release(held);
  client.pool.on('acquireFail', failed);
  expect(await watch.look()).toBeNull();
  client.pool.removeListener('acquireFail', failed);
  expect(lines).toEqual([]);

  const [busy, heldAll] = [watched(databaseUrl), [] as unknown[]];
  for (let n = 0; n < 5; n++) heldAll.push(await busy.db.client.acquireConnection());
  expect(await busy.watch.look()).toMatch(/not answering in time/);
  expect(busy.lines).toHaveLength(1);
  await Promise.all(heldAll.map((connection) => busy.db.client.releaseConnection(connection)));
});
