import type { Knex } from 'knex';
import { query } from './connect.ts';

/**
 * Drops transitions that are older, at most `limit` of them; returns how many. What stays is since when somebody has been
 * active who still is, however long ago that was. Rows are found by the index and dropped in place: nothing is locked but
 * the rows themselves, and those only until the statement ends.
 */
export async function dropTransitions(db: Knex, olderThanDays: number, limit: number): Promise<number> {
  return dropped(
    db,
    `DELETE FROM status_transitions
      WHERE ctid = ANY (ARRAY(
        SELECT old.ctid
          FROM status_transitions AS old
         WHERE old.at < now() - ?::int * interval '24 hours'
           AND (old.status = 'inactive' OR EXISTS (
                 SELECT 1 FROM status_transitions AS later
                  WHERE later.user_id = old.user_id AND later.version > old.version))
         ORDER BY old.at
         LIMIT ?))
     RETURNING 1`,
    [olderThanDays, limit],
  );
}

/** The same for the minutes of the timeline. */
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
