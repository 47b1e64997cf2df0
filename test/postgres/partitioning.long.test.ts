import { randomBytes } from 'node:crypto';
import knex, { type Knex } from 'knex';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { isConnectionError } from '../../src/postgres/errors.ts';
import { lastTransition, type RecordedEntry, recordChanges } from '../../src/postgres/history.ts';
import { migrate, migrationConfig } from '../../src/postgres/migrate.ts';
import { dropPartitions, makePartitions } from '../../src/postgres/partitions.ts';
import { dropTransitions } from '../../src/postgres/retention.ts';

/** The step that makes the history a partitioned table; these tests begin with a database from before it. */
const STEP = '20250601001000_transitions_by_partition.ts';
const DAY = 86_400_000;
const now = Date.now();

let server: pg.Client;
let name: string;
let databaseUrl: string;
let db: Knex;

beforeAll(async () => {
  server = new pg.Client({ connectionString: inject('sharedStores').postgresUrl });
  await server.connect();
});

beforeEach(async () => {
  name = `partitioning_${randomBytes(4).toString('hex')}`;
  await server.query(`CREATE DATABASE ${name}`);
  databaseUrl = Object.assign(new URL(inject('sharedStores').postgresUrl), { pathname: `/${name}` }).href;
  await migrating(async (steps) => {
    const { 1: coming } = await steps.migrate.list();
    // Those after it too: they have nothing to do with it, and this is about the one.
    for (const { file } of coming) if (file !== STEP) await steps.migrate.up({ name: file });
  });
  db = connectPostgres({ databaseUrl, databaseSsl: 'by-url' });
  await db('users').insert(['ann', 'bob', 'cid'].map((id) => ({ id })));
});

afterEach(async () => {
  await db.destroy();
  await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
});

afterAll(() => server.end());

async function migrating<T>(work: (steps: Knex) => Promise<T>): Promise<T> {
  const steps = knex(migrationConfig(databaseUrl, 'by-url'));
  return work(steps).finally(() => steps.destroy());
}

function entry(userId: string, at: number, status: 'active' | 'inactive' = 'active'): RecordedEntry {
  const cause = status === 'active' ? 'connect' : 'timeout';
  return { change: { userId, status, lastSeen: at, version: at, at, cause }, clearsHidden: false, transition: true };
}

const HISTORY = [
  entry('ann', now - 200 * DAY),
  entry('ann', now - 100 * DAY, 'inactive'),
  entry('ann', now - 1000),
  entry('bob', now - 50 * DAY),
  entry('bob', now - 1, 'inactive'),
  entry('cid', now + 1 * DAY),
  entry('cid', now + 400 * DAY, 'inactive'),
];

/** As the version before wrote it. */
async function record(batch: RecordedEntry[]): Promise<void> {
  for (const { change } of batch) {
    await db.raw(
      `INSERT INTO status_transitions (user_id, version, at, status, cause, last_seen) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (user_id, version) DO NOTHING`,
      [change.userId, change.version, new Date(change.at), change.status, change.cause, new Date(change.lastSeen ?? 0)],
    );
  }
}

const everything = () => db('status_transitions').orderBy(['user_id', 'version']);

/** All that somebody could rely on: columns, constraints, indexes, triggers and rights. */
async function shape() {
  const { rows } = await db.raw<{ rows: { text: string }[] }>(`
    SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || COALESCE(relacl::text, '') AS text FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1`);
  return rows.map(({ text }) => text);
}

test('a history from before the step keeps every row, also those of a clock that is ahead, and none comes twice', async () => {
  await record(HISTORY);
  const before = await everything();
  const runs = await Promise.all([migrate(databaseUrl), migrate(databaseUrl)]);
  expect(runs.flat(), 'from two machines').toEqual([STEP]);
  expect(await everything()).toEqual(before);

  await makePartitions(db, 90, now);
  await recordChanges(db, HISTORY);
  await recordChanges(db, [...HISTORY, entry('ann', now + 5000, 'inactive'), entry('ann', now + 5 * DAY)]);
  expect(await everything()).toHaveLength(before.length + 2);
  expect(await lastTransition(db, 'cid')).toMatchObject({ at: now + 400 * DAY });
});

test('the history from before goes by its age as it always did, and at last as a whole', async () => {
  await record(HISTORY);
  await migrate(databaseUrl);
  await makePartitions(db, 90, now);
  expect(await dropPartitions(db, 90, now)).toEqual([]);
  expect(await dropTransitions(db, 90, 10)).toBe(2);
  await makePartitions(db, 90, now + 100 * DAY);
  const dropped = await dropPartitions(db, 90, now + 100 * DAY);
  expect(dropped).toContain('status_transitions_before');
  expect((await everything()).map(({ user_id, at }) => [user_id, at.getTime()])).toEqual([['cid', now + 400 * DAY]]);
});

test('a step that fails leaves everything as it was, and succeeds once what was in its way is gone', async () => {
  await record(HISTORY);
  await db.raw('CREATE VIEW status_transitions_default AS SELECT 1');
  const [rows, before] = [await everything(), await shape()];
  await expect(migrate(databaseUrl)).rejects.toThrow('already exists');
  expect(await everything()).toEqual(rows);
  expect(await shape()).toEqual(before);
  await record([...HISTORY, entry('bob', now + 7)]);
  expect(await everything()).toHaveLength(HISTORY.length + 1);

  await db.raw('DROP VIEW status_transitions_default');
  expect(await migrate(databaseUrl)).toEqual([STEP]);
  expect(await everything()).toHaveLength(HISTORY.length + 1);
});

test('a backup that is running is not cut off: the step gives up after ten seconds and changes nothing', async () => {
  const backup = new pg.Client({ connectionString: databaseUrl });
  await backup.connect();
  await backup.query('BEGIN; LOCK TABLE status_transitions IN ACCESS SHARE MODE');
  const before = await shape();
  await expect(migrate(databaseUrl)).rejects.toThrow('lock timeout');
  expect(await shape()).toEqual(before);
  await backup.query('COMMIT');
  await backup.end();
  expect(await migrate(databaseUrl)).toEqual([STEP]);
});

test('of a large table the index may be made beforehand, while all goes on; one that was not finished is made anew', async () => {
  await record(HISTORY);
  const make = 'CREATE UNIQUE INDEX CONCURRENTLY status_transitions_key ON status_transitions (user_id, version, at)';
  const oidOf = async (index: string) => {
    const { rows } = await db.raw(`SELECT to_regclass('${index}')::oid AS oid`);
    return rows[0].oid;
  };
  await db.raw(make);
  const made = await oidOf('status_transitions_key');
  await migrate(databaseUrl);
  expect(await oidOf('status_transitions_before_pkey')).toBe(made);

  await migrating((steps) => steps.migrate.down({ name: STEP }));
  await db.raw(make);
  const broken = await oidOf('status_transitions_key');
  await db.raw(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'status_transitions_key'::regclass`);
  await migrate(databaseUrl);
  expect(await oidOf('status_transitions_before_pkey')).not.toBe(broken);
  expect(await everything()).toHaveLength(HISTORY.length);
});

test('the step can be taken back with all that was recorded since, and the version before goes on from there', async () => {
  await record(HISTORY);
  const before = await shape();
  await migrate(databaseUrl);
  await makePartitions(db, 90, now);
  const since = [entry('ann', now + 2 * DAY, 'inactive'), entry('ann', now + 4 * DAY), entry('bob', now + 9 * DAY)];
  await recordChanges(db, since);
  const rows = await everything();
  await migrating((steps) => steps.migrate.down({ name: STEP }));
  expect(await everything()).toEqual(rows);
  expect(await shape()).toEqual(before);
  await record([...HISTORY, ...since]);
  expect(await everything()).toEqual(rows);
  expect(await migrate(databaseUrl)).toEqual([STEP]);
  expect(await everything()).toEqual(rows);
});

test('a worker of the version before, still there after the step, keeps what it could not record, and erases all of somebody', async () => {
  await record(HISTORY);
  await migrate(databaseUrl);
  await makePartitions(db, 90, now);
  await recordChanges(db, [entry('ann', now + 3 * DAY, 'inactive')]);
  const refusal = await record([entry('ann', now)]).catch((error: unknown) => error);
  expect(String(refusal)).toContain('ON CONFLICT');
  expect(isConnectionError(refusal)).toBe(true);
  await db('users').where({ id: 'ann' }).delete();
  expect(new Set((await everything()).map((row) => row.user_id))).toEqual(new Set(['bob', 'cid']));
});

test('whoever may read the history may read it afterwards', async () => {
  const role = `reader_${name}`;
  await db.raw(`CREATE ROLE ${role}`);
  await db.raw(`GRANT SELECT ON status_transitions TO ${role}`);
  await record(HISTORY);
  const mayRead = async () => {
    const { rows } = await db.raw(`SELECT has_table_privilege('${role}', 'status_transitions', 'SELECT') AS may`);
    return rows[0].may;
  };
  await migrate(databaseUrl);
  expect(await mayRead()).toBe(true);
  await migrating((steps) => steps.migrate.down({ name: STEP }));
  expect(await mayRead()).toBe(true);
  await db.raw(`DROP OWNED BY ${role}`);
  await db.raw(`DROP ROLE ${role}`);
});
