import type { Knex } from 'knex';
import { query } from './connect.ts';
import { timestampOf } from './time.ts';
import { type Ask, asking, inTransaction } from './transaction.ts';
import { storedAsActive } from './users.ts';

/**
 * The partitions of `status_transitions`, each a stretch of whole days (UTC), and beside them
 *
 *   `status_transitions_before`    all that was recorded before there were partitions, and a day or two after;
 *   `status_transitions_default`   whatever has no partition: from clocks that are wrong, from longer ago than is kept,
 *                                  or recorded while nobody made partitions.
 *
 * A partition begins where the last one ends. Locks are taken from the table to its partitions, as everybody else takes
 * them, so nobody waits in a circle; and are waited for so long only, since others queue up behind whoever waits.
 */

const DAY_MS = 86_400_000;
/** How long nobody need make a partition before rows land in the default one. */
const AHEAD_MS = 3 * DAY_MS;
/** Questions without a time look into every partition and lock each: some twenty of them, however long history is kept. */
const PARTITIONS_OF_RETENTION = 15;
/** Moved into a new partition while those wait who write to the default one. */
const MOVED_AT_MOST = 100_000;
const LOCK_WAIT = '2s';
/** The lock of all who make and drop partitions; any number that nothing else here uses. */
const PARTITION_LOCK = 7_245_118_303;
const PAGE = 2000;

const daysOfPartition = (retentionDays: number) => Math.ceil(retentionDays / PARTITIONS_OF_RETENTION);

const PARTITIONS = `
  SELECT relname AS name,
         extract(epoch FROM (regexp_match(bound, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz)::bigint * 1000 AS ends
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
   CROSS JOIN pg_get_expr(relpartbound, inhrelid) AS bound
   WHERE inhparent = 'status_transitions'::regclass AND bound <> 'DEFAULT'
   ORDER BY ends`;

interface Partition {
  name: string;
  /** ms; the first moment that is not in it. */
  ends: number;
}

async function partitions(ask: Ask): Promise<Partition[]> {
  const rows = await ask<{ name: string; ends: string | null }>(PARTITIONS);
  // One without an end is nobody's here: somebody made it by hand.
  return rows.map(({ name, ends }) => ({ name, ends: Number(ends ?? Number.POSITIVE_INFINITY) }));
}

/**
 * Makes partitions until they reach some days beyond `now` (ms); returns the names of those it made. May be repeated and
 * done by several at once.
 */
export async function makePartitions(db: Knex, retentionDays: number, now: number): Promise<string[]> {
  const made: string[] = [];
  for (;;) {
    const name = await exclusively(db, (ask) => makeNext(ask, retentionDays, now));
    if (name === null) return made;
    made.push(name);
  }
}

/**
 * A partition whose stretch has rows in the default one cannot simply be attached: these move into it first, in the same
 * step. No writer comes between, for the default partition is locked; whoever waited for it to write such a row is refused
 * (`isConnectionError`) and finds the new partition the next time.
 */
async function makeNext(ask: Ask, retentionDays: number, now: number): Promise<string | null> {
  const lengthMs = daysOfPartition(retentionDays) * DAY_MS;
  const begins = await nextBeginning(ask, { retentionDays, lengthMs, now });
  if (begins === null) return null;
  const [from, to] = [new Date(begins).toISOString(), new Date(begins + lengthMs).toISOString()];
  const name = `status_transitions_${from.slice(0, 10).replaceAll('-', '_')}`;
  await ask('LOCK TABLE ONLY status_transitions IN SHARE UPDATE EXCLUSIVE MODE');
  await ask('LOCK TABLE status_transitions_default IN ACCESS EXCLUSIVE MODE');
  await ask(`CREATE TABLE ${name} (LIKE status_transitions INCLUDING CONSTRAINTS INCLUDING INDEXES)`);
  await ask(
    `WITH moved AS (DELETE FROM status_transitions_default WHERE at >= ? AND at < ? RETURNING *)
     INSERT INTO ${name} SELECT * FROM moved`,
    [from, to],
  );
  await ask(`ALTER TABLE status_transitions ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`);
  return name;
}

/**
 * Where the last one ends, but no stretch that is past its retention already, and none of which the default partition holds
 * more than can be moved: that stays where it is. Null: there are enough.
 */
async function nextBeginning(
  ask: Ask,
  { retentionDays, lengthMs, now }: { retentionDays: number; lengthMs: number; now: number },
): Promise<number | null> {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const last = (await partitions(ask)).at(-1)?.ends ?? today;
  for (let begins = Math.max(last, today - retentionDays * DAY_MS); begins < now + AHEAD_MS; begins += DAY_MS) {
    const [crowded] = await ask(
      `SELECT FROM status_transitions_default
        WHERE at >= ${timestampOf('?::bigint')} AND at < ${timestampOf('?::bigint')} OFFSET ? LIMIT 1`,
      [begins, begins + lengthMs, MOVED_AT_MOST],
    );
    if (!crowded) return begins;
  }
  return null;
}

/**
 * Drops the partitions of the history in which everything is more than `olderThanDays` before `now` (ms); returns their
 * names. What stays, in the default partition from then on, is since when somebody has been active who still is.
 */
export async function dropPartitions(db: Knex, olderThanDays: number, now: number): Promise<string[]> {
  const bound = now - olderThanDays * DAY_MS;
  const old = (await partitions(asking(db))).filter(({ ends }) => ends <= bound);
  const dropped: string[] = [];
  const latest = old.at(-1);
  if (!latest) return dropped;
  const kept = await activeSinceBefore(db, latest.ends);
  for (const { name } of old) {
    const done = await exclusively(db, (ask) => dropOne(ask, name, kept));
    if (!done) break;
    dropped.push(name);
  }
  return dropped;
}

async function dropOne(ask: Ask, name: string, kept: Kept): Promise<boolean> {
  await ask('LOCK TABLE ONLY status_transitions IN ACCESS EXCLUSIVE MODE');
  if (!(await partitions(ask)).some((each) => each.name === name)) return false;
  await ask(`ALTER TABLE status_transitions DETACH PARTITION ${name}`);
  // From the table, not from memory: whoever was erased meanwhile is not to come back.
  await ask(
    `INSERT INTO status_transitions
     SELECT gone.* FROM ${name} AS gone
       JOIN unnest(?::text[], ?::bigint[]) AS kept (user_id, version) USING (user_id, version)`,
    [kept.userIds, kept.versions],
  );
  await ask(`DROP TABLE ${name}`);
  return true;
}

interface Kept {
  userIds: string[];
  versions: number[];
}

/** Who has been active since before that moment, and by which transition. */
async function activeSinceBefore(db: Knex, moment: number): Promise<Kept> {
  const kept: Kept = { userIds: [], versions: [] };
  for (let page = await storedAsActive(db, '', PAGE); page.length > 0; ) {
    const rows = await query<{ user_id: string; version: string }>(
      db,
      `SELECT user_id, version
         FROM unnest(?::text[]) AS asked (id) CROSS JOIN LATERAL (
                SELECT user_id, version, at, status FROM status_transitions
                 WHERE user_id = asked.id ORDER BY version DESC LIMIT 1
              ) AS last
        WHERE status = 'active' AND at < ${timestampOf('?::bigint')}`,
      [page.map(({ userId }) => userId), moment],
    );
    for (const { user_id, version } of rows) {
      kept.userIds.push(user_id);
      kept.versions.push(Number(version));
    }
    page = await storedAsActive(db, page.at(-1)?.userId ?? '', PAGE);
  }
  return kept;
}

/** In a transaction of its own, where nobody else is making or dropping partitions; null: somebody is. */
function exclusively<T>(db: Knex, work: (ask: Ask) => Promise<T>): Promise<T | null> {
  return inTransaction(db, async (ask) => {
    const [lock] = await ask<{ held: boolean }>('SELECT pg_try_advisory_xact_lock(?) AS held', [PARTITION_LOCK]);
    if (!lock?.held) return null;
    await ask(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
    return work(ask);
  });
}
