import type { Knex } from 'knex';
import { query } from './connect.ts';
import { timestampOf } from './time.ts';

export interface DayOfActivity {
  /** In UTC, as 2026-01-31. */
  date: string;
  activeSeconds: number;
}

/**
 * How long a user was active on each of the last days, the day of `now` (ms) last. A stretch begins with a transition to
 * active and ends with the last sign of life that the next one, to inactive, tells of: the silence until a timeout was
 * noticed does not count. The one that has no end yet goes on until `now`. A stretch of which one end is missing (history
 * that was dropped) counts for nothing: how long it was is not known.
 */
export async function activityByDay(db: Knex, userId: string, now: number, days: number): Promise<DayOfActivity[]> {
  const rows = await query<{ date: string; seconds: string }>(db, ACTIVITY, [now, days, userId]);
  return rows.map(({ date, seconds }) => ({ date, activeSeconds: Number(seconds) }));
}

/** Days are of 24 hours, as they always are in UTC. The history is read from the last transition before the first on. */
const ACTIVITY = `
  WITH given AS (
    SELECT ${timestampOf('?::bigint')} AS asked_at, ?::int AS days, ?::text AS user_id
  ), asked AS (
    SELECT asked_at, user_id, today, today - (days - 1) * interval '24 hours' AS begins
      FROM given, date_bin('24 hours', asked_at, timestamptz 'epoch') AS today
  ), history AS (
    SELECT made.at, made.status,
           lead(made.status) OVER later AS next_status,
           lead(made.at) OVER later AS next_at,
           lead(made.last_seen) OVER later AS next_last_seen
      FROM asked
      LEFT JOIN LATERAL (
             SELECT version, at FROM status_transitions AS earlier
              WHERE earlier.user_id = asked.user_id AND earlier.at < asked.begins
              ORDER BY version DESC LIMIT 1
           ) AS before ON true
      JOIN status_transitions AS made
        ON made.user_id = asked.user_id
       AND made.version >= COALESCE(before.version, 0) AND made.at >= COALESCE(before.at, asked.begins)
    WINDOW later AS (ORDER BY made.version)
  ), stretches AS (
    SELECT at AS began,
           CASE WHEN next_status IS NULL THEN asked_at
                ELSE GREATEST(at, LEAST(next_at, COALESCE(next_last_seen, next_at))) END AS ended
      FROM history, asked
     WHERE status = 'active' AND next_status IS DISTINCT FROM 'active'
  )
  SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS date,
         round(COALESCE(extract(epoch FROM sum(
           LEAST(ended, day + interval '24 hours', asked_at) - GREATEST(began, day)
         ) FILTER (WHERE began IS NOT NULL)), 0))::bigint AS seconds
    FROM asked
   CROSS JOIN generate_series(begins, today, interval '24 hours') AS day
    LEFT JOIN stretches ON began < LEAST(day + interval '24 hours', asked_at) AND ended > day
   GROUP BY day
   ORDER BY day`;
