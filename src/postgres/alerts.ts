import type { Knex } from 'knex';
import { accessOf, OPEN, VISIBILITIES } from '../presence/visibility.ts';
import { query } from './connect.ts';
import { timestampOf } from './time.ts';

/** Somebody became active, at that moment of Redis's clock (ms). It names the activation: there is only one. */
export interface Activation {
  userId: string;
  at: number;
}

export interface Asker {
  userId: string;
  /** Whether a browser of theirs listens for Web Push, and they do not want to be left alone. */
  pushable: boolean;
}

/** The settings under which a friend who is not blocked sees somebody: the one rule, asked for each of them. */
const SEEN_BY_FRIENDS = VISIBILITIES.filter(
  (visibility) => accessOf({ ...OPEN, visibility }, { self: false, friend: true, blocked: false }) !== 'nothing',
);

/** `f`: a friendship as the one who asks has it. Its binding is SEEN_BY_FRIENDS. */
const FRIENDSHIPS = 'friendships f LEFT JOIN user_settings s ON s.user_id = f.friend_id';
const MAY_BE_TOLD = `
  COALESCE(s.alert_friends, true) AND COALESCE(s.visibility, 'everyone') = ANY(?::text[])
  AND NOT EXISTS (SELECT 1 FROM blocks b
                   WHERE (b.user_id, b.blocked_id) IN ((f.user_id, f.friend_id), (f.friend_id, f.user_id)))`;

/** Whether the one who asks wants to be left alone, by any source that is in force. */
const IS_DND = `EXISTS (SELECT 1 FROM detail_sources d
                         WHERE d.user_id = f.user_id AND d.detail->>'availability' = 'dnd'
                           AND (d.until IS NULL OR d.until > now()))`;

/**
 * `alerted_at` is the moment of the activation that was told last, so that it stands for that activation and the time
 * between two alerts is that between two activations, on one clock. Bindings: at, at, cool-down.
 */
const AT = timestampOf('?::bigint');
const isDue = (row: string) =>
  `${row}.alert <> 'never'
   AND (${row}.alerted_at IS NULL
        OR (${row}.alerted_at < ${AT} AND ${row}.alerted_at <= ${AT} - ?::bigint * interval '1 millisecond'))`;

/** Which of these users somebody wants to hear of, as far as that one may see them. */
export async function usersAskedAbout(db: Knex, userIds: readonly string[]): Promise<Set<string>> {
  const rows = await query<{ friend_id: string }>(
    db,
    `SELECT DISTINCT f.friend_id FROM ${FRIENDSHIPS}
      WHERE f.friend_id = ANY(?::text[]) AND f.alert <> 'never' AND ${MAY_BE_TOLD}`,
    [[...userIds], SEEN_BY_FRIENDS],
  );
  return new Set(rows.map((row) => row.friend_id));
}

/**
 * Those who are to be told of an activation, at most `limit` of them in the order of their ids, behind `after` (''
 * begins).
 */
export async function askersOf(
  db: Knex,
  { userId, at }: Activation,
  { cooldownMs, after, limit }: { cooldownMs: number; after: string; limit: number },
): Promise<Asker[]> {
  const rows = await query<{ user_id: string; pushable: boolean }>(
    db,
    `SELECT f.user_id,
            EXISTS (SELECT 1 FROM push_subscriptions p WHERE p.user_id = f.user_id) AND NOT ${IS_DND} AS pushable
       FROM ${FRIENDSHIPS}
      WHERE f.friend_id = ? AND f.user_id > ? AND ${isDue('f')} AND ${MAY_BE_TOLD}
      ORDER BY f.user_id LIMIT ?`,
    [userId, after, at, at, cooldownMs, SEEN_BY_FRIENDS, limit],
  );
  return rows.map((row) => ({ userId: row.user_id, pushable: row.pushable }));
}

/**
 * Claims the alerts of these askers in one step and returns whose they are to be sent to: of two who claim the same, or
 * the same twice, one gets it. `once` is used up. With `again`, also those that an earlier try claimed for this very
 * activation, which may not have got to sending them.
 */
export async function claimAlerts(
  db: Knex,
  { userId, at }: Activation,
  { askerIds, cooldownMs, again }: { askerIds: readonly string[]; cooldownMs: number; again: boolean },
): Promise<string[]> {
  const rows = await query<{ user_id: string }>(
    db,
    `WITH allowed AS (
       SELECT f.user_id, f.alert, f.alerted_at FROM ${FRIENDSHIPS}
        WHERE f.friend_id = ? AND f.user_id = ANY(?::text[]) AND ${MAY_BE_TOLD}
        ORDER BY f.user_id
          FOR UPDATE OF f
     ), claimed AS (
       UPDATE friendships
          SET alerted_at = ${AT}, alert = CASE allowed.alert WHEN 'once' THEN 'never' ELSE allowed.alert END
         FROM allowed
        WHERE friendships.friend_id = ? AND friendships.user_id = allowed.user_id AND ${isDue('allowed')}
       RETURNING friendships.user_id
     )
     SELECT user_id FROM claimed
      UNION
     SELECT user_id FROM allowed WHERE ?::boolean AND alerted_at = ${AT}`,
    [userId, [...askerIds], SEEN_BY_FRIENDS, at, userId, at, at, cooldownMs, again, at],
  );
  return rows.map((row) => row.user_id);
}

/**
 * The friend as a notification names them, and whether the asker wants to be left alone by now; null as soon as the asker may not be
 * told of them any more.
 */
export async function friendToTell(
  db: Knex,
  askerId: string,
  userId: string,
): Promise<{ displayName: string | null; dnd: boolean } | null> {
  const [row] = await query<{ display_name: string | null; dnd: boolean }>(
    db,
    `SELECT u.display_name, ${IS_DND} AS dnd FROM ${FRIENDSHIPS} LEFT JOIN users u ON u.id = f.friend_id
      WHERE f.user_id = ? AND f.friend_id = ? AND ${MAY_BE_TOLD}`,
    [askerId, userId, SEEN_BY_FRIENDS],
  );
  return row ? { displayName: row.display_name, dnd: row.dnd } : null;
}
