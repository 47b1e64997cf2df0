import type { Knex } from 'knex';
import { query } from './connect.ts';
import { msOf, timestampOf } from './time.ts';

/** Notes how many are active in the minute of `at` (ms); the first count of a minute stands. */
export async function noteActive(db: Knex, at: number, active: number): Promise<void> {
  await query(
    db,
    `INSERT INTO presence_minutes AS known (minute, active)
     VALUES (date_trunc('minute', ${timestampOf('?::bigint')}), ?)
     ON CONFLICT (minute) DO UPDATE SET active = excluded.active WHERE known.active IS NULL`,
    [at, active],
  );
}

export interface TimelinePoint {
  at: number;
  active: number | null;
  transitions: number;
}

/**
 * The timeline from the step of `from` to the one before `to` (ms), steps of `stepMs` counted from 1970: the most that
 * were active at once, and how many came or went. Steps in which nothing was noted are missing.
 */
export async function timeline(db: Knex, from: number, to: number, stepMs: number): Promise<TimelinePoint[]> {
  const begin = Math.floor(from / stepMs) * stepMs;
  const rows = await query<{ at: Date; active: number | null; transitions: string }>(
    db,
    `SELECT date_bin(?::bigint * interval '1 millisecond', minute, timestamptz 'epoch') AS at,
            max(active) AS active, sum(transitions) AS transitions
       FROM presence_minutes
      WHERE minute >= ${timestampOf('?::bigint')} AND minute < ${timestampOf('?::bigint')}
      GROUP BY 1
      ORDER BY 1`,
    [stepMs, begin, to],
  );
  return rows.map(({ at, active, transitions }) => ({
    at: at.getTime(),
    active,
    transitions: Number(transitions),
  }));
}

/** Users and when they were last seen (ms), at most `limit` in the order of their ids, behind `afterId` ('' begins). */
export async function lastSeenPage(
  db: Knex,
  afterId: string,
  limit: number,
): Promise<{ userId: string; lastSeen: number | null }[]> {
  const rows = await query<{ id: string; last_seen: Date | null }>(
    db,
    'SELECT id, last_seen FROM users WHERE id > ? ORDER BY id LIMIT ?',
    [afterId, limit],
  );
  return rows.map((row) => ({ userId: row.id, lastSeen: msOf(row.last_seen) }));
}
