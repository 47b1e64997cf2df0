import type { Knex } from 'knex';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { activityByDay } from '../../src/postgres/activity.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { eraseUser } from '../../src/postgres/erasure.ts';
import { isBusy, isConnectionError, isUnpermitted } from '../../src/postgres/errors.ts';
import { lastTransition, type RecordedEntry, recordChanges, transitionsBefore } from '../../src/postgres/history.ts';
import { dropPartitions, makePartitions } from '../../src/postgres/partitions.ts';
import { dropTransitions } from '../../src/postgres/retention.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const DAY = 86_400_000;
const today = Math.floor(Date.now() / DAY) * DAY;

let stores: TestStores;
let db: Knex;

beforeAll(async () => {
  stores = await openTestStores('partitions');
  db = connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' });
});

afterAll(async () => {
  await db.destroy();
  await stores.close();
});

/** A history that never was anything but partitioned, and has no partition yet. */
beforeEach(async () => {
  for (const name of await partitions()) {
    if (name !== 'default') await db.raw(`DROP TABLE status_transitions_${name}`);
  }
  for (const table of ['status_transitions', 'users', 'presence_minutes', 'changes_arriving']) await db(table).delete();
});

async function partitions(): Promise<string[]> {
  const { rows } = await db.raw<{ rows: { name: string }[] }>(
    `SELECT substr(relname, 20) AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
      WHERE inhparent = 'status_transitions'::regclass ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

const nameOf = (at: number) => new Date(at).toISOString().slice(0, 10).replaceAll('-', '_');

function entry(userId: string, at: number, status: 'active' | 'inactive' = 'active'): RecordedEntry {
  const cause = status === 'active' ? 'connect' : 'timeout';
  return { change: { userId, status, lastSeen: at, version: at, at, cause }, clearsHidden: false, transition: true };
}

/** In which partition each transition lies. */
async function places(): Promise<Record<string, string>> {
  const rows = await db('status_transitions').select(
    'user_id',
    'version',
    db.raw('substr(tableoid::regclass::text, 20) AS partition'),
  );
  return Object.fromEntries(rows.map(({ user_id, version, partition }) => [`${user_id} ${version}`, partition]));
}

async function planOf(ask: () => Promise<unknown>): Promise<string> {
  const asked: { sql: string; bindings: pg.QueryResultRow[] }[] = [];
  const note = (query: { sql: string; bindings: pg.QueryResultRow[] }) => asked.push(query);
  db.on('query', note);
  await ask().finally(() => db.removeListener('query', note));
  const client = new pg.Client({ connectionString: stores.databaseUrl });
  await client.connect();
  // Tables this small are read whole otherwise.
  await client.query('SET enable_seqscan = off');
  const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) ${asked[0]?.sql}`, asked[0]?.bindings);
  await client.end();
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

/** The partitions that a plan looks into, all told or for one part of the question. */
async function lookedInto(ask: () => Promise<unknown>, part = ''): Promise<string[]> {
  const plan = await planOf(ask);
  expect(plan).not.toContain('Seq Scan on status_transitions');
  // Before PostgreSQL 18 a plan also names as places to delete from those whose scans it has removed.
  const scans = plan.split('\n').filter((line) => !/^ *Delete on/.test(line));
  const found = scans.filter((line) => line.includes(` ${part}`) && !line.includes('never executed'));
  const names = found.flatMap(
    (line) => / on status_transitions_(default|before|\d{4}_\d\d_\d\d)/.exec(line)?.[1] ?? [],
  );
  return [...new Set(names)].sort();
}

test('partitions are there three days ahead, each a fifteenth of the time that history is kept', async () => {
  expect(await makePartitions(db, 14, today)).toHaveLength(3);
  expect(await partitions()).toEqual([...[0, 1, 2].map((days) => nameOf(today + days * DAY)), 'default']);
  expect(await makePartitions(db, 14, today), 'again').toEqual([]);
  expect(await makePartitions(db, 14, today + DAY / 2)).toEqual([`status_transitions_${nameOf(today + 3 * DAY)}`]);
  // From now on kept for longer: what is there stays, what follows is longer.
  await makePartitions(db, 90, today + 8 * DAY);
  expect((await partitions()).slice(4)).toEqual([4, 10].map((days) => nameOf(today + days * DAY)).concat('default'));
});

test('nothing that was announced is lost for its time, be that long past or far ahead', async () => {
  await makePartitions(db, 14, today);
  const times = { before: today - 40 * DAY, night: today + DAY - 1, morning: today + DAY, ahead: today + 4000 * DAY };
  const batch = Object.entries(times).map(([userId, at]) => entry(userId, at));
  await recordChanges(db, batch);
  await recordChanges(db, batch);
  expect(await places()).toEqual({
    [`before ${times.before}`]: 'default',
    [`night ${times.night}`]: nameOf(today),
    [`morning ${times.morning}`]: nameOf(today + DAY),
    [`ahead ${times.ahead}`]: 'default',
  });
  expect(await lastTransition(db, 'ahead')).toMatchObject({ at: times.ahead });
});

test('what was recorded while nobody made partitions moves into them, and is not recorded a second time', async () => {
  const batch = Array.from({ length: 400 }, (_, n) => entry(`user-${n % 50}`, today - 2 * DAY + n * 0.02 * DAY));
  await makePartitions(db, 14, today - 4 * DAY);
  const lonely = await partitions();
  await recordChanges(db, batch);
  expect(Object.values(await places())).toContain('default');
  await makePartitions(db, 14, today + 7 * DAY);
  expect((await partitions()).length).toBeGreaterThan(lonely.length);
  expect(Object.values(await places())).not.toContain('default');
  await recordChanges(db, batch);
  expect(Object.keys(await places())).toHaveLength(400);
  const minutes = await db('presence_minutes').sum('transitions as n').first();
  expect(Number(minutes?.n)).toBe(400);
});

test('after workers were away for years there are partitions for what is kept, and not for the years', async () => {
  await makePartitions(db, 14, today - 3000 * DAY);
  const made = await makePartitions(db, 14, today);
  expect(made.slice(0, 1)).toEqual([`status_transitions_${nameOf(today - 14 * DAY)}`]);
  expect(made).toHaveLength(17);
});

test('a partition without an end, made by hand, is left alone', async () => {
  await db.raw(`CREATE TABLE status_transitions_rest PARTITION OF status_transitions
                  FOR VALUES FROM ('2000-01-01') TO (MAXVALUE)`);
  expect(await makePartitions(db, 14, today)).toEqual([]);
  expect(await dropPartitions(db, 14, today)).toEqual([]);
  expect(await partitions()).toEqual(['default', 'rest']);
});

test('a stretch of which too much lies in the default partition stays there, and the next one has its own', async () => {
  await makePartitions(db, 30, today - 10 * DAY);
  const last = (await partitions()).at(-2);
  await db.raw(
    `INSERT INTO status_transitions (user_id, version, at, status, cause)
     SELECT 'busy', n, ?::timestamptz + n * interval '1 millisecond', 'inactive', 'timeout'
       FROM generate_series(1, 100001) AS n`,
    [new Date(today)],
  );
  const made = await makePartitions(db, 30, today);
  expect(last).toBe(nameOf(today - 8 * DAY));
  expect(made.map((name) => name.slice(19))).toEqual([-6, -4, -2, 1].map((days) => nameOf(today + days * DAY)));
  expect(new Set(Object.values(await places()))).toEqual(new Set(['default']));
});

test('a transition that comes while the partition for it is being made is not refused for good', async () => {
  await makePartitions(db, 14, today - 10 * DAY);
  const maker = new pg.Client({ connectionString: stores.databaseUrl });
  await maker.connect();
  await maker.query('BEGIN; LOCK TABLE ONLY status_transitions IN SHARE UPDATE EXCLUSIVE MODE');
  await maker.query('LOCK TABLE status_transitions_default IN ACCESS EXCLUSIVE MODE');
  const recording = recordChanges(db, [entry('ann', today)]).catch((error: unknown) => error);
  const waiting = `SELECT FROM pg_locks WHERE relation = 'status_transitions_default'::regclass AND NOT granted`;
  await expect.poll(async () => (await maker.query(waiting)).rowCount, { timeout: 10_000 }).toBe(1);
  await maker.query(`CREATE TABLE its_own (LIKE status_transitions INCLUDING CONSTRAINTS INCLUDING INDEXES)`);
  const [from, to] = [today, today + DAY].map((at) => new Date(at).toISOString());
  await maker.query(`ALTER TABLE status_transitions ATTACH PARTITION its_own FOR VALUES FROM ('${from}') TO ('${to}')`);
  await maker.query(`ALTER TABLE its_own RENAME TO status_transitions_${nameOf(today)}; COMMIT`);
  await maker.end();
  const refusal = await recording;
  expect(String(refusal)).toContain('violates partition constraint');
  expect(isConnectionError(refusal)).toBe(true);
  await recordChanges(db, [entry('ann', today)]);
  expect(await places()).toEqual({ [`ann ${today}`]: nameOf(today) });
  const bad = { user_id: 'ann', version: 1, at: new Date(today), status: 'asleep', cause: 'connect' };
  const condemned = await db('status_transitions')
    .insert(bad)
    .catch((error: unknown) => error);
  expect(isConnectionError(condemned), 'for what is in it').toBe(false);
});

test('workers that make and drop partitions at once, while others record, lose nothing and write nothing twice', async () => {
  const connections = Array.from({ length: 4 }, () =>
    connectPostgres({ databaseUrl: stores.databaseUrl, databaseSsl: 'by-url' }),
  );
  const first = connections[0] as Knex;
  const made: string[] = [];
  // As the last-seen worker does it: what PostgreSQL is to blame for is tried again, and what it refuses is not.
  const record = async (worker: Knex, batch: RecordedEntry[]): Promise<void> => {
    try {
      await recordChanges(worker, batch);
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      await record(worker, batch);
    }
  };
  const days = Array.from({ length: 16 }, (_, n) => today - n * DAY);
  // As the upkeep does it: a lock that was not to be had in time is asked for again.
  const nextTime = (error: unknown): string[] => {
    if (!isConnectionError(error)) throw error;
    return [];
  };
  let recording = true;
  const batches = Array.from({ length: 60 }, (_, n) =>
    days.map((day, k) => entry(`user-${n}`, day + n * 1000 + k, 'inactive')),
  );
  const making = connections.slice(2).map(async (worker, n) => {
    for (let round = 0; recording; round++) {
      made.push(...(await makePartitions(worker, 14, today - (13 - (round % 14)) * DAY).catch(nextTime)));
      await dropPartitions(worker, 14, today - n * DAY).catch(nextTime);
    }
  });
  await Promise.all(batches.flatMap((batch) => [record(first, batch), record(connections[1] as Knex, batch)])).finally(
    () => {
      recording = false;
    },
  );
  await Promise.all(making);
  for (const worker of connections) await worker.destroy();
  expect(made).toEqual([...new Set(made)]);
  const [counted] = await db('status_transitions').count();
  const [fed] = await db('changes_arriving').count();
  expect(Number(fed?.count), 'all were taken in once').toBe(60 * 16);
  expect(Number(counted?.count), 'what is kept is there').toBeGreaterThanOrEqual(60 * 14);
  await Promise.all(batches.map((batch) => recordChanges(db, batch.slice(0, 12))));
  expect(Number((await db('changes_arriving').count())[0]?.count)).toBe(60 * 16);
});

test('what is past its retention goes by whole partitions, but not since when somebody has been active who still is', async () => {
  await makePartitions(db, 14, today - 20 * DAY);
  await recordChanges(db, [
    entry('gone', today - 19 * DAY),
    entry('gone', today - 19 * DAY + 1, 'inactive'),
    entry('here', today - 19 * DAY, 'inactive'),
    entry('here', today - 19 * DAY + 1),
    entry('came', today - 19 * DAY),
    entry('came', today - 1, 'inactive'),
  ]);
  await makePartitions(db, 14, today);
  expect(await dropPartitions(db, 14, today + 1)).toEqual(
    [-20, -19, -18].map((days) => `status_transitions_${nameOf(today + days * DAY)}`),
  );
  expect(await places()).toEqual({
    [`here ${today - 19 * DAY + 1}`]: 'default',
    [`came ${today - 1}`]: nameOf(today - DAY),
  });
  expect(await lastTransition(db, 'here')).toMatchObject({ status: 'active', at: today - 19 * DAY + 1 });
  expect(await dropPartitions(db, 14, today + 1), 'again').toEqual([]);
  await recordChanges(db, [entry('here', today, 'inactive')]);
  expect(await dropTransitions(db, 14, 100)).toBe(1);
  expect(Object.keys(await places())).not.toContain(`here ${today - 19 * DAY + 1}`);
});

test('a partition of which one moment is still kept stays; what is past it in there goes row by row', async () => {
  await makePartitions(db, 60, today - 62 * DAY);
  const [partition] = await partitions();
  const kept = Date.now() - 60 * DAY + 60_000;
  const past = Date.now() - 60 * DAY - 60_000;
  await recordChanges(db, [entry('ann', past, 'inactive'), entry('ann', kept, 'inactive')]);
  expect(await dropPartitions(db, 60, Date.now())).toEqual([]);
  expect(await dropTransitions(db, 60, 100)).toBe(1);
  expect(await places()).toEqual({ [`ann ${kept}`]: partition });
});

test('rows in the same place of different partitions are not taken for each other', async () => {
  await makePartitions(db, 14, today - 30 * DAY);
  await recordChanges(
    db,
    [-30, -29, -28, 0].map((days) => entry('ann', today + days * DAY, 'inactive')),
  );
  expect(await dropTransitions(db, 14, 2)).toBe(2);
  expect(Object.keys(await places()).sort()).toEqual([`ann ${today - 28 * DAY}`, `ann ${today}`]);
});

test('whoever reads the history for long is not cut off, and others do not wait behind the dropping of it for long', async () => {
  await makePartitions(db, 14, today - 30 * DAY);
  const reader = new pg.Client({ connectionString: stores.databaseUrl });
  await reader.connect();
  await reader.query('BEGIN; SELECT count(*) FROM status_transitions');
  const dropping = dropPartitions(db, 14, today).catch((error: unknown) => error);
  const begun = performance.now();
  await recordChanges(db, [entry('ann', today)]);
  expect(performance.now() - begun).toBeLessThan(5000);
  expect(isBusy(await dropping)).toBe(true);
  await reader.query('COMMIT');
  await reader.end();
  expect(await dropPartitions(db, 14, today)).toHaveLength(3);
});

test('a database user who owns no tables records all the same', async () => {
  await db.raw(`CREATE ROLE rollcall_writer LOGIN PASSWORD 'secret'`);
  await db.raw('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO rollcall_writer');
  const url = Object.assign(new URL(stores.databaseUrl), { username: 'rollcall_writer', password: 'secret' });
  const writer = connectPostgres({ databaseUrl: url.href, databaseSsl: 'by-url' });
  try {
    expect(isUnpermitted(await makePartitions(writer, 14, today).catch((error: unknown) => error))).toBe(true);
    await recordChanges(writer, [entry('ann', today - 20 * DAY, 'inactive'), entry('ann', today)]);
    expect(await dropTransitions(writer, 14, 10)).toBe(1);
    expect(await places()).toEqual({ [`ann ${today}`]: 'default' });
  } finally {
    await writer.destroy();
    await db.raw('DROP OWNED BY rollcall_writer');
    await db.raw('DROP ROLE rollcall_writer');
  }
});

test('erasing somebody takes their history from every partition, and others’ from none', async () => {
  await makePartitions(db, 14, today);
  const times = [today - 100 * DAY, today, today + DAY, today + 50 * DAY];
  await recordChanges(
    db,
    ['ann', 'bob'].flatMap((userId) => times.map((at) => entry(userId, at, 'inactive'))),
  );
  await eraseUser(db, 'ann', today);
  expect(Object.keys(await places()).sort()).toEqual(times.map((at) => `bob ${at}`).sort());
});

test('a question about a stretch of time looks into its partitions and the default one only, by their indexes', async () => {
  const now = Date.now();
  await makePartitions(db, 14, today - 12 * DAY);
  await makePartitions(db, 14, today);
  await recordChanges(
    db,
    Array.from({ length: 400 }, (_, n) =>
      entry(`user-${n % 4}`, now - n * 0.03 * DAY, n % 2 === 0 ? 'active' : 'inactive'),
    ),
  );
  const of = (...days: number[]) => days.map((each) => nameOf(today + each * DAY));
  const stretch = { from: today - 4 * DAY, to: today - 3 * DAY, version: null, limit: 10 };
  expect(await lookedInto(() => transitionsBefore(db, 'user-1', stretch))).toEqual(of(-4));
  const page = { from: today - 2 * DAY, to: null, version: today - DAY, limit: 10 };
  expect(await lookedInto(() => transitionsBefore(db, 'user-1', page)), 'the next page').toEqual(of(-2));
  const old = await lookedInto(() => dropTransitions(db, 11, 10));
  expect(old).toEqual(expect.arrayContaining(of(-12)));
  expect(old).not.toEqual(expect.arrayContaining(of(-9)));
  expect(await lookedInto(() => activityByDay(db, 'user-1', now, 1), 'made')).toEqual([...of(-1, 0, 1, 2), 'default']);
  expect(await planOf(() => lastTransition(db, 'user-1'))).not.toContain('Seq Scan');
});
