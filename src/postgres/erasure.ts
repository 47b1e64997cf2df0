import type { Knex } from 'knex';
import { eraseFromFeed } from './change-feed.ts';
import { lock, raise } from './privacy.ts';
import { inTransaction } from './transaction.ts';

/**
 * Erases a user from every table, and from what others' privacy says; nothing happens where nobody knows them. Whoever
 * was blocked or befriended gets a new revision, which Redis hears of by the way of every other change of privacy.
 * `version` is that of the erasure, for readers of the change feed. Returns the conversations the user was a member of.
 */
export function eraseUser(db: Knex, userId: string, version: number): Promise<string[]> {
  return inTransaction(db, async (ask) => {
    const others = await ask<{ id: string }>(
      `SELECT blocked_id AS id FROM blocks WHERE user_id = ?
        UNION SELECT user_id FROM blocks WHERE blocked_id = ?
        UNION SELECT friendships.user_id FROM friendships JOIN user_settings USING (user_id)
               WHERE friend_id = ? AND 'friends' IN (visibility, last_seen_visibility)`,
      [userId, userId, userId],
    );
    const concerned = others.map((other) => other.id);
    await lock(ask, [userId, ...concerned]);
    await ask('DELETE FROM friendships WHERE user_id = ? OR friend_id = ?', [userId, userId]);
    await ask('DELETE FROM blocks WHERE user_id = ? OR blocked_id = ?', [userId, userId]);
    await ask('DELETE FROM user_settings WHERE user_id = ?', [userId]);
    await ask('DELETE FROM push_subscriptions WHERE user_id = ?', [userId]);
    await ask('DELETE FROM privacy_changes WHERE user_id = ?', [userId]);
    const left = await ask<{ conversation_id: string }>(
      'DELETE FROM conversation_members WHERE user_id = ? RETURNING conversation_id',
      [userId],
    );
    // The history goes with the row, by a trigger.
    const known = await ask('DELETE FROM users WHERE id = ? RETURNING 1', [userId]);
    await eraseFromFeed(ask, userId, known.length > 0 ? version : null);
    await raise(ask, concerned, concerned);
    return left.map((row) => row.conversation_id);
  });
}
