import type { Knex } from 'knex';
import { query } from './connect.ts';

export interface PushSubscription {
  endpoint: string;
  p256dh: string;
  auth: string;
}

/** So many browsers listen for a user; a further one takes the place of the one that subscribed longest ago. */
export const SUBSCRIPTIONS_KEPT = 20;
/**
 * A subscription that could not be given so many messages in a row goes: at once where it never took one, else only once
 * the first of them is a day old, for a push service may be away for hours.
 */
export const FAILURES_KEPT = 10;
const FAILING_KEPT = '1 day';

/**
 * Keeps a subscription, which begins anew with it. Its endpoint belongs to whoever brought it last: a browser may be signed
 * in as somebody else.
 */
export async function saveSubscription(db: Knex, userId: string, subscription: PushSubscription): Promise<void> {
  const { endpoint, p256dh, auth } = subscription;
  await query(
    db,
    `WITH saved AS (
       INSERT INTO push_subscriptions (endpoint, user_id, p256dh, auth) VALUES (?, ?, ?, ?)
       ON CONFLICT (endpoint) DO UPDATE
          SET user_id = excluded.user_id, p256dh = excluded.p256dh, auth = excluded.auth, created_at = now(),
              failures = 0, failing_since = NULL
     )
     DELETE FROM push_subscriptions
      WHERE endpoint IN (SELECT endpoint FROM push_subscriptions
                          WHERE user_id = ? AND endpoint <> ?
                          ORDER BY created_at DESC, endpoint
                         OFFSET ?)`,
    [endpoint, userId, p256dh, auth, userId, endpoint, SUBSCRIPTIONS_KEPT - 1],
  );
}

/** Removes a subscription of the user; nothing happens where it is somebody else's, or there is none. */
export async function removeSubscription(db: Knex, userId: string, endpoint: string): Promise<void> {
  await query(db, 'DELETE FROM push_subscriptions WHERE user_id = ? AND endpoint = ?', [userId, endpoint]);
}

/** Notes that a subscription has taken a message: what failed before is forgotten. Writes only where that is news. */
export async function noteMessageTaken(db: Knex, userId: string, endpoint: string): Promise<void> {
  await query(
    db,
    `UPDATE push_subscriptions SET failures = 0, failing_since = NULL, taken_at = now()
      WHERE user_id = ? AND endpoint = ? AND (failures > 0 OR taken_at IS NULL)`,
    [userId, endpoint],
  );
}

/**
 * Notes that a message for a subscription was given up. Returns whether that was one too many, and the subscription is
 * gone.
 */
export async function noteGivenUp(db: Knex, userId: string, endpoint: string): Promise<boolean> {
  await query(
    db,
    `UPDATE push_subscriptions SET failures = failures + 1, failing_since = coalesce(failing_since, now())
      WHERE user_id = ? AND endpoint = ?`,
    [userId, endpoint],
  );
  const gone = await query(
    db,
    `DELETE FROM push_subscriptions
      WHERE user_id = ? AND endpoint = ? AND failures >= ?
        AND (taken_at IS NULL OR failing_since <= now() - ?::interval)
      RETURNING endpoint`,
    [userId, endpoint, FAILURES_KEPT, FAILING_KEPT],
  );
  return gone.length > 0;
}

/** The push subscriptions of these users, each with its user. */
export async function subscriptionsOf(
  db: Knex,
  userIds: readonly string[],
): Promise<(PushSubscription & { userId: string })[]> {
  const rows = await query<PushSubscription & { user_id: string }>(
    db,
    'SELECT user_id, endpoint, p256dh, auth FROM push_subscriptions WHERE user_id = ANY(?::text[])',
    [[...userIds]],
  );
  return rows.map(({ user_id: userId, endpoint, p256dh, auth }) => ({ userId, endpoint, p256dh, auth }));
}
