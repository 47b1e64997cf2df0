import type { Knex } from 'knex';
import type { Cause, Status } from '../presence/change.ts';
import { query } from './connect.ts';
import { msOf } from './time.ts';
import { type Ask, inTransaction } from './transaction.ts';

/**
 * What the history took in, in an order that a reader can follow: one writer at a time gives positions, and holds its lock
 * until they can be seen. So whoever has read up to a position has missed nothing below it. The changes of one user stand
 * in the order of their versions, since they arrive in it.
 */

/** The lock of all who write the feed's one row; any number that nothing else here uses. */
const FEED_LOCK = 7_245_118_302;

/** Up to where a feed was read. `feed` tells it from the feed of another database. */
export interface FeedCursor {
  feed: string;
  position: number;
}

interface FedUserChange {
  position: number;
  userId: string;
  status: Status;
  lastSeen: number | null;
  version: number;
  at: number;
  cause: Cause;
}

interface FedRoomChange {
  position: number;
  roomId: string;
  occupied: boolean;
  at: number;
}

/** One step of one user, or of one room (it has a `roomId`). */
export type FedChange = FedUserChange | FedRoomChange;

/** Gives positions to what has arrived, at most `limit` of it, where nobody else is doing so; returns to how many. */
export function positionChanges(db: Knex, limit: number): Promise<number> {
  return inTransaction(db, async (ask) => {
    const [lock] = await ask<{ held: boolean }>('SELECT pg_try_advisory_xact_lock(?) AS held', [FEED_LOCK]);
    if (!lock?.held) return 0;
    const [given] = await ask<{ count: string }>(POSITION, [limit]);
    return Number(given?.count ?? 0);
  });
}

const POSITION = `
  WITH taken AS (
    DELETE FROM changes_arriving
     WHERE id = ANY (ARRAY(SELECT id FROM changes_arriving ORDER BY id LIMIT ?))
    RETURNING *
  ), counted AS (
    UPDATE change_feed SET last_position = last_position + (SELECT count(*) FROM taken)
     WHERE EXISTS (SELECT FROM taken)
    RETURNING last_position
  ), given AS (
    INSERT INTO changes (position, user_id, version, at, status, cause, last_seen, room_id)
    SELECT last_position - count(*) OVER () + row_number() OVER (ORDER BY taken.id),
           user_id, version, at, status, cause, last_seen, room_id
      FROM taken CROSS JOIN counted
     ORDER BY 1
    RETURNING 1
  )
  SELECT count(*) FROM given`;

/** Where the feed stands: a cursor of now, the position behind which nothing is missing, and whether something waits. */
export async function feedState(db: Knex): Promise<{ now: FeedCursor; droppedThrough: number; waiting: boolean }> {
  const [row] = await query<{ id: string; last: string; dropped: string; waiting: boolean }>(
    db,
    `SELECT id, last_position AS last, dropped_through AS dropped,
            EXISTS (SELECT FROM changes_arriving) AS waiting
       FROM change_feed`,
    [],
  );
  if (!row) throw new Error('The change feed has lost its row');
  const now = { feed: row.id, position: Number(row.last) };
  return { now, droppedThrough: Number(row.dropped), waiting: row.waiting };
}

interface FeedRow {
  id: string;
  last: string;
  dropped: string;
  position: string | null;
  user_id: string;
  version: string;
  at: Date;
  status: Status;
  cause: Cause;
  last_seen: Date | null;
  room_id: string | null;
}

/** `gone`: something after the cursor is not kept any more, or it is one of another database; `next` is then of now. */
export interface FeedPage {
  gone: boolean;
  changes: FedChange[];
  next: FeedCursor;
}

/** What came after a cursor, oldest first, and the cursor behind it; `through` is the last position that counts. */
export async function changesAfter(db: Knex, after: FeedCursor, limit: number, through?: number): Promise<FeedPage> {
  const { rows, now, droppedThrough } = await read(db, after, limit, through ?? null);
  const { position } = after;
  if (after.feed !== now.feed || position > now.position || position < droppedThrough) {
    return { gone: true, changes: [], next: now };
  }
  // With room left on the page there is nothing more: positions of erased users are passed over.
  const last = rows.length < limit ? (through ?? now.position) : (rows.at(-1)?.position ?? position);
  return { gone: false, changes: rows, next: { feed: now.feed, position: last } };
}

/** The changes behind `after`, up to the position `through` and with it, that are still kept. */
export async function changesLeft(db: Knex, after: FeedCursor, through: number): Promise<FedChange[]> {
  const { rows, now } = await read(db, after, through - after.position, through);
  return after.feed === now.feed ? rows : [];
}

/**
 * One statement, so that rows and positions are of the same moment. Without an upper bound in it, which would have the
 * planner think of few rows and look at all of them.
 */
async function read(db: Knex, after: FeedCursor, limit: number, through: number | null) {
  const rows = await query<FeedRow>(
    db,
    `SELECT id, last_position AS last, dropped_through AS dropped, next.*
       FROM change_feed LEFT JOIN LATERAL (
              SELECT position, user_id, version, at, status, cause, last_seen, room_id FROM changes
               WHERE position > GREATEST(?::bigint, dropped_through)
               ORDER BY position LIMIT ?
            ) AS next ON true
      ORDER BY position`,
    [after.position, limit],
  );
  const [first] = rows;
  if (!first) throw new Error('The change feed has lost its row');
  return {
    rows: rows
      .filter((row) => row.position !== null)
      .map(fedChange)
      .filter(({ position }) => through === null || position <= through),
    now: { feed: first.id, position: Number(first.last) },
    droppedThrough: Number(first.dropped),
  };
}

function fedChange({ position, user_id, version, at, status, cause, last_seen, room_id }: FeedRow): FedChange {
  if (room_id !== null) {
    return { position: Number(position), roomId: room_id, occupied: status === 'active', at: at.getTime() };
  }
  return {
    position: Number(position),
    userId: user_id,
    status,
    lastSeen: msOf(last_seen),
    version: Number(version),
    at: at.getTime(),
    cause,
  };
}

/**
 * Takes a user out of the feed, inside the transaction that erases them. With a version, readers are told: the entry that
 * does so names the user and therefore stays for moments only (`dropErasuresFromFeed`).
 */
export async function eraseFromFeed(ask: Ask, userId: string, version: number | null): Promise<void> {
  await ask('SELECT pg_advisory_xact_lock(?)', [FEED_LOCK]);
  // The news of it is left alone, for an erasure may be repeated.
  await ask(`DELETE FROM changes_arriving WHERE user_id = ? AND cause <> 'erased'`, [userId]);
  await ask(`DELETE FROM changes WHERE user_id = ? AND cause <> 'erased'`, [userId]);
  if (version === null) return;
  await ask(
    `INSERT INTO changes_arriving (user_id, version, at, status, cause, last_seen)
     VALUES (?, ?, date_trunc('milliseconds', clock_timestamp()), 'inactive', 'erased', NULL)`,
    [userId, version],
  );
}

/**
 * Removes from the feed the entries that told of an erasure longer than `olderThanMs` ago, and returns how many. Who
 * has not read them by then cannot learn from the feed whom to forget, so for them the feed begins behind it.
 */
export function dropErasuresFromFeed(db: Knex, olderThanMs: number): Promise<number> {
  return locked(db, async (ask) => {
    const [forgotten] = await ask<{ count: string }>(
      `WITH old AS (
         DELETE FROM changes WHERE cause = 'erased' AND at < now() - ?::bigint * interval '1 millisecond'
         RETURNING position
       ), moved AS (
         UPDATE change_feed SET dropped_through = GREATEST(dropped_through, (SELECT max(position) FROM old))
          WHERE EXISTS (SELECT FROM old)
       )
       SELECT count(*) FROM old`,
      [olderThanMs],
    );
    return Number(forgotten?.count ?? 0);
  });
}

/** Notes that changes were lost before they could arrive: whoever has read up to now has to take a fresh snapshot. */
export async function markLoss(db: Knex): Promise<void> {
  await locked(db, (ask) =>
    ask('UPDATE change_feed SET last_position = last_position + 1, dropped_through = last_position + 1'),
  );
}

/** How much is kept; ages are those of the changes. */
export interface FeedRetention {
  days: number;
  rows: number;
}

/**
 * Drops the oldest changes of the feed that are not to be kept any longer, at most `limit` of them; returns how many.
 * Always from the beginning and without a hole, so that what is left is whole.
 */
export function dropChangesOfFeed(db: Knex, { days, rows }: FeedRetention, limit: number): Promise<number> {
  return locked(db, async (ask) => {
    const [dropped] = await ask<{ count: string }>(
      `WITH oldest AS (
         SELECT position, position <= dropped_through OR position <= last_position - ?::bigint
                OR at < now() - ?::int * interval '24 hours' AS old
           FROM (SELECT position, at FROM changes ORDER BY position LIMIT ?) AS first CROSS JOIN change_feed
       ), bound AS (
         SELECT COALESCE((SELECT min(position) - 1 FROM oldest WHERE NOT old), max(position)) AS position FROM oldest
       ), gone AS (
         DELETE FROM changes WHERE position <= (SELECT position FROM bound) RETURNING 1
       ), moved AS (
         UPDATE change_feed SET dropped_through = GREATEST(dropped_through, (SELECT position FROM bound))
          WHERE EXISTS (SELECT FROM gone)
       )
       SELECT count(*) FROM gone`,
      [rows, days, limit],
    );
    return Number(dropped?.count ?? 0);
  });
}

/** Waits for those who give positions, and they for this. */
function locked<T>(db: Knex, work: (ask: Ask) => Promise<T>): Promise<T> {
  return inTransaction(db, async (ask) => {
    await ask('SELECT pg_advisory_xact_lock(?)', [FEED_LOCK]);
    return work(ask);
  });
}
