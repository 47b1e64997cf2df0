import type { Knex } from 'knex';
import { query } from './connect.ts';

export interface PushSubscription {
  endpoint: string;
  p256dh: string;
  auth: string;
}

/** So many browsers listen for a user; a further one takes the place of the one that subscribed longest ago. */
export const SUBSCRIPTIONS_KEPT = 20;

/** Keeps a subscription. Its endpoint belongs to whoever brought it last: a browser may be signed in as somebody else. */
export async function saveSubscription(db: Knex, userId: string, subscription: PushSubscription): Promise<void> {
  const { endpoint, p256dh, auth } = subscription;
  await query(
    db,
    `WITH saved AS (
       INSERT INTO push_subscriptions (endpoint, user_id, p256dh, auth) VALUES (?, ?, ?, ?)
       ON CONFLICT (endpoint) DO UPDATE
          SET user_id = excluded.user_id, p256dh = excluded.p256dh, auth = excluded.auth, created_at = now()
     )
     DELETE FROM push_subscriptions
      WHERE endpoint IN (SELECT endpoint FROM push_subscriptions
                          WHERE user_id = ? AND endpoint <> ?
                          ORDER BY created_at DESC, endpoint
                         OFFSET ?)`,
    [endpoint, userId, p256dh, auth, userId, endpoint, SUBSCRIPTIONS_KEPT - 1],
  );
}

/** Somebody else's, or none: nothing happens. */
export async function removeSubscription(db: Knex, userId: string, endpoint: string): Promise<void> {
  await query(db, 'DELETE FROM push_subscriptions WHERE user_id = ? AND endpoint = ?', [userId, endpoint]);
}

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
