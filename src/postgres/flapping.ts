import type { Knex } from 'knex';
import type { Cause } from '../presence/change.ts';
import { query } from './connect.ts';
import { timestampOf } from './time.ts';

/** So many comings and goings are looked at, however many there were: it costs a few tens of milliseconds at most. */
const MOST_ROWS = 20_000;
/** Who is back so soon had not really left. */
const BACK_WITHIN_MS = 10_000;

/** Somebody who was told inactive and was back within seconds, or whom a deploy had told inactive. */
export interface Flap {
  userId: string;
  at: number;
  cause: Cause;
  /** After how long (ms) they were active again; null: they are not. */
  backAfterMs: number | null;
}

export interface Flaps {
  /** Since when everything was looked at (ms): `since`, or later where more happened than is looked at. */
  since: number;
  /** How many, by cause; the newest of them. */
  counts: Partial<Record<Cause, number>>;
  newest: Flap[];
}

/**
 * Who was told inactive since a moment (ms) and had not left, by the history: back within ten seconds after a timeout, a close or
 * a deploy; or told inactive by a deploy at all, for its clients were to come back before.
 */
export async function flapsSince(db: Knex, since: number, most: number): Promise<Flaps> {
  const rows = await query<{
    user_id: string | null;
    at: Date;
    cause: Cause;
    back: string | null;
    since: Date;
    n: string;
  }>(
    db,
    `WITH lately AS (
       SELECT user_id, version, at, status, cause FROM status_transitions
        WHERE at >= ${timestampOf('?::bigint')} ORDER BY at DESC LIMIT ${MOST_ROWS}
     ), followed AS (
       SELECT user_id, at, status, cause,
              extract(epoch FROM lead(at) OVER (PARTITION BY user_id ORDER BY version) - at) * 1000 AS back
         FROM lately
     ), flapped AS (
       SELECT user_id, at, cause, round(back) AS back FROM followed
        WHERE status = 'inactive'
          AND (cause = 'handover' OR cause IN ('timeout', 'disconnect') AND back < ${BACK_WITHIN_MS})
     ), looked AS (
       SELECT count(*) AS n, min(at) AS since FROM lately
     )
     SELECT user_id, flapped.at, cause, back, looked.since, looked.n
       FROM looked LEFT JOIN LATERAL (SELECT * FROM flapped ORDER BY at DESC) AS flapped ON true`,
    [since],
  );
  const [first] = rows;
  const flaps = rows.flatMap(({ user_id, at, cause, back }) =>
    user_id === null
      ? []
      : { userId: user_id, at: at.getTime(), cause, backAfterMs: back === null ? null : Number(back) },
  );
  const counts: Flaps['counts'] = {};
  for (const { cause } of flaps) counts[cause] = (counts[cause] ?? 0) + 1;
  const isPart = Number(first?.n ?? 0) >= MOST_ROWS;
  return { since: isPart && first ? first.since.getTime() : since, counts, newest: flaps.slice(0, most) };
}
