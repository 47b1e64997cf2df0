import type { Knex } from 'knex';
import type { Cause, Change, Claims, Status } from '../presence/change.ts';
import { query } from './connect.ts';
import { dropEndedSources } from './detail-sources.ts';
import { msOf, timestampOf } from './time.ts';

export interface RecordedEntry {
  change: Change;
  /** What the user's token said; fills what is not known yet and overwrites nothing. */
  claims?: Claims | undefined;
  /** Whether this change ends appearing inactive. */
  clearsHidden: boolean;
  /** Whether the status changed, which the history is to know. */
  transition: boolean;
}

/** All of a batch that concerns one user: what the row in `users` has to become at least. */
interface UserUpdate {
  userId: string;
  lastSeen: number | null;
  version: number;
  status: Status;
  name: string | null;
  picture: string | null;
  /** The latest moment at which appearing inactive was ended. */
  clearedAt: number | null;
}

/**
 * Writes a batch of changes: the users' rows and the history, all or nothing, in one statement. Writing the same batch
 * again changes nothing, and neither the order of batches nor that of entries matters: nothing ever goes backwards.
 */
export async function recordChanges(db: Knex, batch: readonly RecordedEntry[]): Promise<void> {
  if (batch.length === 0) return;
  const users = reduceByUser(batch);
  const transitions = batch.filter((entry) => entry.transition).map((entry) => entry.change);
  await query(db, RECORD, [
    users.map((user) => user.userId),
    users.map((user) => user.lastSeen),
    users.map((user) => user.version),
    users.map((user) => user.status),
    users.map((user) => user.name),
    users.map((user) => user.picture),
    users.map((user) => user.clearedAt),
    transitions.map((change) => change.userId),
    transitions.map((change) => change.version),
    transitions.map((change) => change.at),
    transitions.map((change) => change.status),
    transitions.map((change) => change.cause),
    transitions.map((change) => change.lastSeen),
  ]);
  // A source that is over goes with the change that says so.
  const saying = batch.filter(({ change }) => change.detail !== undefined || change.cause === 'detail');
  await dropEndedSources(db, [...new Set(saying.map(({ change }) => change.userId))]);
}

/**
 * Rows are locked in the order of ids, so that two batches with users in common wait for each other and never in a
 * circle. A new row carries the moment of a clearing in `hidden_set_at`, which is also how the update gets to know it.
 * The minutes come last (`done` and `fed` have the others written
 * before), since all batches share them; they count the transitions that were not there before, and those go to the change
 * feed too.
 */
const RECORD = `
  WITH recorded AS (
    INSERT INTO users AS known (id, last_seen, version, status, display_name, avatar_url, hidden_set_at)
    SELECT id, ${timestampOf('last_seen')}, version, status, name, picture, cleared_at
      FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[])
        AS changed (id, last_seen, version, status, name, picture, cleared_at)
     ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
      last_seen = GREATEST(known.last_seen, excluded.last_seen),
      version = GREATEST(known.version, excluded.version),
      status = CASE WHEN excluded.version > known.version THEN excluded.status ELSE known.status END,
      display_name = COALESCE(known.display_name, excluded.display_name),
      avatar_url = COALESCE(known.avatar_url, excluded.avatar_url),
      hidden = known.hidden AND NOT (excluded.hidden_set_at >= COALESCE(known.hidden_set_at, 0)) IS TRUE,
      hidden_until = CASE WHEN excluded.hidden_set_at >= COALESCE(known.hidden_set_at, 0)
                          THEN NULL ELSE known.hidden_until END,
      hidden_set_at = GREATEST(known.hidden_set_at, excluded.hidden_set_at)
    RETURNING 1
  ), written AS (
    INSERT INTO status_transitions (user_id, version, at, status, cause, last_seen)
    SELECT user_id, version, ${timestampOf('at')}, status, cause, ${timestampOf('last_seen')}
      FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::bigint[])
        AS made (user_id, version, at, status, cause, last_seen)
     ORDER BY user_id COLLATE "C", version
    ON CONFLICT (user_id, version, at) DO NOTHING
    RETURNING *
  ), arrived AS (
    INSERT INTO changes_arriving (user_id, version, at, status, cause, last_seen)
    SELECT user_id, version, at, status, cause, last_seen FROM written ORDER BY version
    RETURNING 1
  )
  INSERT INTO presence_minutes AS known (minute, transitions)
  SELECT date_trunc('minute', at), count(*)
    FROM written CROSS JOIN (SELECT count(*) FROM recorded) AS done CROSS JOIN (SELECT count(*) FROM arrived) AS fed
   GROUP BY 1
   ORDER BY 1
  ON CONFLICT (minute) DO UPDATE SET transitions = known.transitions + excluded.transitions`;

function reduceByUser(batch: readonly RecordedEntry[]): UserUpdate[] {
  const users = new Map<string, UserUpdate>();
  for (const entry of batch) {
    const { userId, version, status, lastSeen, at } = entry.change;
    const known = users.get(userId);
    const newest = known === undefined || version > known.version;
    users.set(userId, {
      userId,
      lastSeen: later(known?.lastSeen, lastSeen),
      version: newest ? version : known.version,
      status: newest ? status : known.status,
      name: known?.name ?? entry.claims?.name ?? null,
      picture: known?.picture ?? entry.claims?.picture ?? null,
      clearedAt: later(known?.clearedAt, entry.clearsHidden ? at : null),
    });
  }
  return [...users.values()];
}

function later(a: number | null | undefined, b: number | null): number | null {
  if (a === null || a === undefined) return b;
  return b === null ? a : Math.max(a, b);
}

export interface Transition {
  version: number;
  at: number;
  status: Status;
  cause: Cause;
  lastSeen: number | null;
}

/** The newest transition in the history of each of these users, by id; of whom there is none is missing. */
export async function lastTransitions(db: Knex, userIds: readonly string[]): Promise<Map<string, Transition>> {
  if (userIds.length === 0) return new Map();
  const rows = await query<TransitionRow & { id: string }>(
    db,
    `SELECT asked.id, last.* FROM unnest(?::text[]) AS asked (id)
      CROSS JOIN LATERAL (
        SELECT version, at, status, cause, last_seen FROM status_transitions
         WHERE user_id = asked.id ORDER BY version DESC LIMIT 1
      ) AS last`,
    [[...userIds]],
  );
  return new Map(rows.map(({ id, ...row }) => [id, transitionOf(row)]));
}

/** The newest transition in the history of a user; null where there is none. */
export async function lastTransition(db: Knex, userId: string): Promise<Transition | null> {
  return (await lastTransitions(db, [userId])).get(userId) ?? null;
}

export interface Stretch {
  /** ms, the first that counts and the first that does not; null: no bound. */
  from: number | null;
  to: number | null;
  /** Only what is older than this version. */
  version: number | null;
  limit: number;
}

interface TransitionRow {
  version: string;
  at: Date;
  status: Status;
  cause: Cause;
  last_seen: Date | null;
}

/** A user's transitions, newest first. A version is never below the moment of its change, so it bounds that too. */
export async function transitionsBefore(db: Knex, userId: string, { from, to, version, limit }: Stretch) {
  const end = version === null ? to : Math.min(version, to ?? version);
  const rows = await query<TransitionRow>(
    db,
    `SELECT version, at, status, cause, last_seen FROM status_transitions
      WHERE user_id = ? AND version >= ? AND version < ? AND at >= ${timestampOf('?::bigint')}
        AND (?::bigint IS NULL OR at < ${timestampOf('?::bigint')})
      ORDER BY version DESC LIMIT ?`,
    [userId, from ?? 0, version ?? Number.MAX_SAFE_INTEGER, from ?? 0, end, end, limit],
  );
  return rows.map(transitionOf);
}

function transitionOf({ last_seen, at, ...row }: TransitionRow): Transition {
  return { ...row, version: Number(row.version), at: at.getTime(), lastSeen: msOf(last_seen) };
}

/** Whether there is a row for this user. */
export async function hasUser(db: Knex, userId: string): Promise<boolean> {
  return (await query(db, 'SELECT 1 FROM users WHERE id = ?', [userId])).length > 0;
}
