import type { Knex } from 'knex';
import { query } from './connect.ts';

/**
 * Drops transitions that are older, at most `limit` of them; returns how many. What stays is since when somebody has been
 * active who still is, however long ago that was. Rows are found by the index and dropped in place: nothing is locked but
 * the rows themselves, and those only until the statement ends. A place (ctid) is one in a partition, and there is one like
 * it in every other.
 */
export async function dropTransitions(db: Knex, olderThanDays: number, limit: number): Promise<number> {
  return dropped(
    db,
    `WITH old AS MATERIALIZED (
       SELECT tableoid, ctid
         FROM status_transitions AS past
        WHERE at < now() - ?::int * interval '24 hours'
          AND (status = 'inactive' OR EXISTS (
                SELECT 1 FROM status_transitions AS later
                 WHERE later.user_id = past.user_id AND later.version > past.version))
        ORDER BY at
        LIMIT ?
     )
     DELETE FROM status_transitions
      WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) AND (tableoid, ctid) IN (SELECT tableoid, ctid FROM old)
        AND at < now() - ?::int * interval '24 hours'
     RETURNING 1`,
    [olderThanDays, limit, olderThanDays],
  );
}

/** Drops minutes of the timeline that are more than `olderThanDays` old, at most `limit` of them; returns how many. */
export async function dropMinutes(db: Knex, olderThanDays: number, limit: number): Promise<number> {
  return dropped(
    db,
    `DELETE FROM presence_minutes
      WHERE minute IN (
        SELECT minute FROM presence_minutes
         WHERE minute < now() - ?::int * interval '24 hours' ORDER BY minute LIMIT ?)
     RETURNING 1`,
    [olderThanDays, limit],
  );
}

async function dropped(db: Knex, sql: string, bindings: readonly number[]): Promise<number> {
  return (await query(db, sql, bindings)).length;
}
