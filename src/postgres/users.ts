import type { Knex } from 'knex';
import type { Status, StoredSource, StoredUser } from '../presence/change.ts';
import { DEFAULT_DETAIL_ORDER, strongestFirst } from '../presence/detail.ts';
import { query } from './connect.ts';
import { msOf, timestampOf } from './time.ts';

interface StoredUserRow {
  id: string;
  version: string;
  last_seen: Date | null;
  status: Status;
  privacy_revision: string;
  hidden: boolean;
  remaining_ms: string | null;
  detail_revision: string | null;
  sources: StoredSource[] | null;
}

/**
 * What PostgreSQL has of these users, by id; ids that nobody ever heard of are missing. `order`: which source of a detail is the
 * strongest.
 */
export async function loadStoredUsers(
  db: Knex,
  ids: readonly string[],
  order = DEFAULT_DETAIL_ORDER,
): Promise<Map<string, StoredUser>> {
  const rows = await query<StoredUserRow>(db, 'SELECT * FROM stored_users(?::text[]) WHERE known', [[...ids]]);
  return new Map(rows.map((row) => [row.id, storedUserOf(row, order)]));
}

/**
 * What scripts are to be told of users who are about to have a record in Redis, by id; who is missing is new. Of an id
 * that is not known, but whom somebody blocks or that was erased lately, that much is in it. One statement: it is asked
 * for everybody who comes. `order`: which source of a detail is the strongest.
 */
export async function loadStoredForScripts(
  db: Knex,
  ids: readonly string[],
  order = DEFAULT_DETAIL_ORDER,
): Promise<Map<string, StoredUser>> {
  if (ids.length === 0) return new Map();
  const rows = await query<StoredUserRow & { known: boolean; erased_ago: string | null }>(
    db,
    `SELECT * FROM stored_users(?::text[])
      WHERE known OR privacy_revision <> 0 OR erased_ago IS NOT NULL`,
    [[...ids]],
  );
  return new Map(rows.map((row) => [row.id, row.known ? storedUserOf(row, order) : unknownOf(row)]));
}

function unknownOf({ privacy_revision, erased_ago }: StoredUserRow & { erased_ago: string | null }): StoredUser {
  const erased = erased_ago === null ? {} : { erasedAgoMs: Number(erased_ago) };
  return { ...NOTHING_STORED, privacyRevision: Number(privacy_revision), unknown: true, ...erased };
}

/** Stored nowhere: somebody who is new to PostgreSQL. */
export const NOTHING_STORED: StoredUser = {
  version: 0,
  lastSeen: null,
  status: 'inactive',
  hidden: null,
  sources: [],
  detailRevision: 0,
  privacyRevision: 0,
};

function storedUserOf(row: StoredUserRow, order: readonly string[]): StoredUser {
  return {
    version: Number(row.version),
    lastSeen: msOf(row.last_seen),
    status: row.status,
    hidden: row.hidden ? { remainingMs: numberOf(row.remaining_ms) } : null,
    sources: strongestFirst(row.sources ?? [], order),
    detailRevision: Number(row.detail_revision),
    privacyRevision: Number(row.privacy_revision),
  };
}

const numberOf = (digits: string | null) => (digits === null ? null : Number(digits));

export interface LastSeen {
  userId: string;
  /** Milliseconds of the Redis clock. */
  lastSeen: number;
}

/** Moves the last seen of those who are known forward, never back, in one statement. */
export async function moveLastSeen(db: Knex, batch: readonly LastSeen[]): Promise<void> {
  if (batch.length === 0) return;
  await query(
    db,
    `WITH moved AS MATERIALIZED (
       SELECT id, max(${timestampOf('ms')}) AS last_seen FROM unnest(?::text[], ?::bigint[]) AS touched (id, ms) GROUP BY id
     ), locked AS MATERIALIZED (
       SELECT users.id, moved.last_seen FROM users JOIN moved USING (id)
        WHERE users.last_seen IS NULL OR users.last_seen < moved.last_seen
        ORDER BY users.id FOR NO KEY UPDATE OF users
     )
     UPDATE users SET last_seen = GREATEST(users.last_seen, locked.last_seen) FROM locked WHERE users.id = locked.id`,
    [batch.map((touch) => touch.userId), batch.map((touch) => touch.lastSeen)],
  );
}

/** Moves last seen forward, never back, in one statement; users nobody heard of become known. */
export async function touchLastSeen(db: Knex, batch: readonly LastSeen[]): Promise<void> {
  if (batch.length === 0) return;
  await query(
    db,
    `INSERT INTO users AS known (id, last_seen)
     SELECT id, ${timestampOf('max(ms)')}
       FROM unnest(?::text[], ?::bigint[]) AS touched (id, ms)
      GROUP BY id
      ORDER BY id COLLATE "C"
     ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen
      WHERE known.last_seen IS NULL OR known.last_seen < excluded.last_seen`,
    [batch.map((touch) => touch.userId), batch.map((touch) => touch.lastSeen)],
  );
}

export interface HiddenChoice {
  /** null: until further notice. */
  expiresInMs: number | null;
  /** Milliseconds of the Redis clock at which the user chose; an older choice never overwrites a newer one. */
  setAt: number;
}

/**
 * Remembers that a user chose to appear inactive; the expiry runs on PostgreSQL's clock. Returns whether the user did already, and
 * others have heard of that: otherwise they may still be shown what the user said before.
 */
export async function saveHidden(
  db: Knex,
  userId: string,
  { expiresInMs, setAt }: HiddenChoice,
): Promise<{ wasTold: boolean }> {
  const [row] = await query<{ was_told: boolean | null }>(
    db,
    `WITH saved AS (
       INSERT INTO users AS known (id, hidden, hidden_until, hidden_set_at)
       VALUES (?, true, now() + ?::bigint * interval '1 millisecond', ?)
       ON CONFLICT (id) DO UPDATE
          SET hidden = true, hidden_until = excluded.hidden_until, hidden_set_at = excluded.hidden_set_at
        WHERE known.hidden_set_at IS NULL OR known.hidden_set_at <= excluded.hidden_set_at
     )
     SELECT hidden AND (hidden_until IS NULL OR hidden_until > now())
            AND (hidden_set_at <= version OR detail_revision > hidden_set_at) AS was_told
       FROM users WHERE id = ?`,
    [userId, expiresInMs === null ? null : Math.ceil(expiresInMs), setAt, userId],
  );
  return { wasTold: row?.was_told ?? false };
}

/** Ends appearing inactive, unless that was chosen anew since `setAt`. */
export async function clearHidden(db: Knex, userId: string, setAt: number): Promise<void> {
  await query(
    db,
    `UPDATE users
        SET hidden = false, hidden_until = NULL, hidden_set_at = ?
      WHERE id = ? AND hidden AND (hidden_set_at IS NULL OR hidden_set_at <= ?)`,
    [setAt, userId, setAt],
  );
}

/** The ids of users who appear inactive by a choice they made since `since` (ms of the Redis clock). */
export async function recentlyHidden(db: Knex, since: number): Promise<string[]> {
  const rows = await query<{ id: string }>(db, 'SELECT id FROM users WHERE hidden AND hidden_set_at >= ?', [since]);
  return rows.map((row) => row.id);
}

/**
 * Users who became inactive since `since` (ms of the Redis clock), when they were last seen, by that or by what was written before,
 * and with which version that was told; at most `limit` in the order of ids, behind `afterId` ('' begins).
 */
export async function recentlyLeft(
  db: Knex,
  since: number,
  afterId: string,
  limit: number,
): Promise<(LastSeen & { version: number })[]> {
  const rows = await query<{ id: string; last_seen: Date; version: string }>(
    db,
    `SELECT user_id AS id, GREATEST(max(left_at.last_seen), max(users.last_seen)) AS last_seen, max(left_at.version) AS version
       FROM status_transitions AS left_at JOIN users ON users.id = user_id
      WHERE at >= ${timestampOf('?::bigint')} AND left_at.status = 'inactive' AND left_at.last_seen IS NOT NULL AND user_id > ?
      GROUP BY user_id ORDER BY user_id LIMIT ?`,
    [since, afterId, limit],
  );
  return rows.map((row) => ({ userId: row.id, lastSeen: row.last_seen.getTime(), version: Number(row.version) }));
}

export interface RecordedActive {
  userId: string;
  version: number;
  lastSeen: number | null;
}

/** Users whose last recorded change said active, at most `limit` in the order of their ids, behind `afterId` ('' begins). */
export async function storedAsActive(db: Knex, afterId: string, limit: number): Promise<RecordedActive[]> {
  const rows = await query<{ id: string; version: string; last_seen: Date | null }>(
    db,
    `SELECT id, version, last_seen FROM users WHERE status = 'active' AND id > ? ORDER BY id LIMIT ?`,
    [afterId, limit],
  );
  return rows.map((row) => ({ userId: row.id, version: Number(row.version), lastSeen: msOf(row.last_seen) }));
}
