import type { Knex } from 'knex';
import { eraseFromAudit } from './audit.ts';
import { eraseFromFeed } from './change-feed.ts';
import { query } from './connect.ts';
import { hashOf } from './erased-ids.ts';
import { type ListsChanged, lock, raise, readPrivacy } from './privacy.ts';
import { type Ask, inTransaction } from './transaction.ts';

/** How long ago an erasure was (ms). */
const AGO_MS = 'ceil(extract(epoch FROM clock_timestamp() - erased_at) * 1000)::bigint';

/** Somebody who was not concerned when the rows were to be locked is by now: all of it once more. */
const CHANGED_MEANWHILE = Symbol('concerned meanwhile');

/**
 * Erases a user from every table, and from what others' privacy says; nothing happens where nobody knows them. Whoever
 * was blocked or befriended gets a new revision, which Redis hears of by the way of every other change of privacy.
 * `version` is that of the erasure, for readers of the change feed. Returns the conversations the user was a member of.
 */
export async function eraseUser(db: Knex, userId: string, version: number): Promise<string[]> {
  for (;;) {
    const left = await inTransaction(db, (ask) => eraseOnce(ask, userId, version)).catch((error: unknown) => {
      if (error === CHANGED_MEANWHILE) return null;
      throw error;
    });
    if (left !== null) return left;
  }
}

async function eraseOnce(ask: Ask, userId: string, version: number): Promise<string[]> {
  const expected = await concernedBy(ask, userId);
  await lock(ask, [userId, ...expected]);
  // Whoever makes a relation holds the rows of both: from here on there is nobody new.
  const concerned = await concernedBy(ask, userId);
  if (concerned.some((id) => !expected.includes(id))) throw CHANGED_MEANWHILE;
  // In the order of ids too, as those take them who note what Redis has heard.
  await ask('SELECT FROM privacy_changes WHERE user_id = ANY(?::text[]) ORDER BY user_id FOR UPDATE', [
    [userId, ...concerned],
  ]);
  const before = await readPrivacy(ask, concerned);
  const changed = new Map<string, ListsChanged>();
  const removal = { added: [], removed: [userId] };
  const blocks = await ask<{ id: string }>(
    `DELETE FROM blocks WHERE user_id = ? OR blocked_id = ?
     RETURNING CASE WHEN user_id = ? THEN blocked_id ELSE user_id END AS id`,
    [userId, userId, userId],
  );
  for (const { id } of blocks) changed.set(id, { userId: id, own: false, blocks: removal });
  const friends = await ask<{ id: string }>(
    `WITH ended AS (DELETE FROM friendships WHERE user_id = ? OR friend_id = ? RETURNING user_id, friend_id)
     SELECT ended.user_id AS id FROM ended JOIN user_settings USING (user_id)
      WHERE friend_id = ? AND 'friends' IN (visibility, last_seen_visibility)`,
    [userId, userId, userId],
  );
  // Who asks for friends only since a moment ago: a setting takes the row of one.
  if (friends.some(({ id }) => !concerned.includes(id))) throw CHANGED_MEANWHILE;
  for (const { id } of friends) changed.set(id, { ...changed.get(id), userId: id, own: false, friends: removal });
  await ask('DELETE FROM user_settings WHERE user_id = ?', [userId]);
  await ask('DELETE FROM push_subscriptions WHERE user_id = ?', [userId]);
  await ask('DELETE FROM detail_sources WHERE user_id = ?', [userId]);
  await ask('DELETE FROM privacy_changes WHERE user_id = ?', [userId]);
  const left = await ask<{ conversation_id: string }>(
    'DELETE FROM conversation_members WHERE user_id = ? RETURNING conversation_id',
    [userId],
  );
  // The history goes with the row, by a trigger.
  const known = await ask('DELETE FROM users WHERE id = ? RETURNING 1', [userId]);
  await eraseFromFeed(ask, userId, known.length > 0 ? version : null);
  await eraseFromAudit(ask, userId);
  await ask(
    `INSERT INTO erasures (id_hash, erased_at) VALUES (${hashOf('?')}, clock_timestamp())
     ON CONFLICT (id_hash) DO UPDATE SET erased_at = excluded.erased_at`,
    [userId],
  );
  await raise(ask, before, [...changed.values()]);
  return left.map((row) => row.conversation_id);
}

/** Whether PostgreSQL has anything of a user that an erasure takes away: also of one without a row, whom others' lists name. */
export async function isNamed(db: Knex, userId: string): Promise<boolean> {
  const [row] = await query<{ named: boolean }>(
    db,
    `SELECT EXISTS (SELECT FROM users WHERE id = named.id)
         OR EXISTS (SELECT FROM blocks WHERE user_id = named.id)
         OR EXISTS (SELECT FROM blocks WHERE blocked_id = named.id)
         OR EXISTS (SELECT FROM friendships WHERE user_id = named.id)
         OR EXISTS (SELECT FROM friendships WHERE friend_id = named.id)
         OR EXISTS (SELECT FROM conversation_members WHERE user_id = named.id)
         OR EXISTS (SELECT FROM user_settings WHERE user_id = named.id)
         OR EXISTS (SELECT FROM push_subscriptions WHERE user_id = named.id)
         OR EXISTS (SELECT FROM detail_sources WHERE user_id = named.id)
         OR EXISTS (SELECT FROM audit_log WHERE named.id IN (actor, subject)) AS named
       FROM (SELECT ?::text COLLATE "C" AS id) AS named`,
    [userId],
  );
  return row?.named ?? false;
}

async function concernedBy(ask: Ask, userId: string): Promise<string[]> {
  const others = await ask<{ id: string }>(
    `SELECT blocked_id AS id FROM blocks WHERE user_id = ?
      UNION SELECT user_id FROM blocks WHERE blocked_id = ?
      UNION SELECT friendships.user_id FROM friendships JOIN user_settings USING (user_id)
             WHERE friend_id = ? AND 'friends' IN (visibility, last_seen_visibility)`,
    [userId, userId, userId],
  );
  return others.map((other) => other.id);
}

/** Which of these ids were erased within the last day, and how long ago (ms). */
export async function erasedAgo(db: Knex, userIds: readonly string[]): Promise<Map<string, number>> {
  if (userIds.length === 0) return new Map();
  const rows = await query<{ id: string; ago: string }>(
    db,
    `SELECT named.id, ${AGO_MS} AS ago
       FROM unnest(?::text[]) AS named (id) JOIN erasures ON id_hash = ${hashOf('named.id')}`,
    [[...userIds]],
  );
  return new Map(rows.map((row) => [row.id, Number(row.ago)]));
}

/** Whether anybody was erased lately: mostly there is nothing to look for. */
export async function isAnybodyErased(db: Knex): Promise<boolean> {
  return (await query(db, 'SELECT 1 FROM erasures LIMIT 1', [])).length > 0;
}

/** Drops what was noted of erasures that are older than a day. */
export async function dropErasures(db: Knex): Promise<void> {
  await query(db, `DELETE FROM erasures WHERE erased_at < now() - interval '24 hours'`, []);
}
