import type { Knex } from 'knex';
import { OPEN, type Openness, type Privacy, type Sight } from '../presence/visibility.ts';
import { query } from './connect.ts';
import { lock, makeKnownAndLock, raise, readPrivacy, type Untold } from './privacy.ts';
import { type Ask, asking, inTransaction } from './transaction.ts';

export type Alert = 'never' | 'once' | 'always';

export interface Settings extends Openness {
  /** Whether friends who asked for it may be alerted when this user becomes active. */
  alertFriends: boolean;
}

const DEFAULTS: Settings = { ...OPEN, alertFriends: true };

/** The privacy of those of these users that are known; who is missing has the default. */
export async function loadPrivacy(db: Knex, userIds: readonly string[]): Promise<Map<string, Privacy>> {
  return userIds.length === 0 ? new Map() : readPrivacy(asking(db), userIds);
}

/**
 * What a viewer may see of these users; who is missing is seen whole. It follows `sightOf`, and looks up the same things
 * whatever the answer.
 */
export async function sights(db: Knex, viewerId: string, userIds: readonly string[]): Promise<Map<string, Sight>> {
  if (userIds.length === 0) return new Map();
  const rows = await query<{ id: string; sight: Sight }>(
    db,
    `WITH viewed AS MATERIALIZED (
       SELECT asked.id,
              COALESCE(visibility, 'everyone') AS visibility,
              COALESCE(last_seen_visibility, 'everyone') AS last_seen_visibility,
              befriended.user_id IS NOT NULL AS friend,
              blocking.user_id IS NOT NULL OR blocked.user_id IS NOT NULL AS blocked
         FROM unnest(?::text[]) AS asked (id)
         LEFT JOIN user_settings ON user_settings.user_id = asked.id
         LEFT JOIN friendships AS befriended ON befriended.user_id = ? AND befriended.friend_id = asked.id
         LEFT JOIN blocks AS blocking ON blocking.user_id = ? AND blocking.blocked_id = asked.id
         LEFT JOIN blocks AS blocked ON blocked.user_id = asked.id AND blocked.blocked_id = ?
        WHERE asked.id <> ?
     ), judged AS (
       SELECT id, CASE
         WHEN blocked OR visibility = 'nobody' OR visibility = 'friends' AND NOT friend THEN 'nothing'
         WHEN last_seen_visibility = 'everyone' OR last_seen_visibility = 'friends' AND friend THEN 'all'
         ELSE 'status' END AS sight
         FROM viewed
     )
     SELECT id, sight FROM judged WHERE sight <> 'all'`,
    [[...userIds], viewerId, viewerId, viewerId, viewerId],
  );
  return new Map(rows.map((row) => [row.id, row.sight]));
}

export interface Friend {
  userId: string;
  alert: Alert;
}

/** All friends of a user, in the order of their ids, and whether the user wants to hear when each becomes active. */
export async function friendsOf(db: Knex, userId: string): Promise<Friend[]> {
  const rows = await query<{ friend_id: string; alert: Alert }>(
    db,
    'SELECT friend_id, alert FROM friendships WHERE user_id = ? ORDER BY friend_id',
    [userId],
  );
  return rows.map((row) => ({ userId: row.friend_id, alert: row.alert }));
}

/** Makes both friends. Ids that nobody ever heard of become users who never came. */
export function befriend(db: Knex, userId: string, friendId: string): Promise<Untold> {
  return inTransaction(db, async (ask) => {
    await makeKnownAndLock(ask, [userId, friendId]);
    const made = await ask<{ user_id: string }>(
      `INSERT INTO friendships (user_id, friend_id) VALUES (?, ?), (?, ?)
       ON CONFLICT DO NOTHING RETURNING user_id`,
      [userId, friendId, friendId, userId],
    );
    return raise(ask, [userId, friendId], await whereFriendsCount(ask, made));
  });
}

/** Ends it for both. */
export function unfriend(db: Knex, userId: string, friendId: string): Promise<Untold> {
  return inTransaction(db, async (ask) => {
    await lock(ask, [userId, friendId]);
    const ended = await ask<{ user_id: string }>(
      `DELETE FROM friendships WHERE (user_id, friend_id) IN ((?, ?), (?, ?)) RETURNING user_id`,
      [userId, friendId, friendId, userId],
    );
    return raise(ask, [userId, friendId], await whereFriendsCount(ask, ended));
  });
}

/** Whether the user is told when the friend becomes active. False: they are no friends. */
export async function setAlert(db: Knex, userId: string, friendId: string, alert: Alert): Promise<boolean> {
  const rows = await query(
    db,
    'UPDATE friendships SET alert = ? WHERE user_id = ? AND friend_id = ? RETURNING friend_id',
    [alert, userId, friendId],
  );
  return rows.length > 0;
}

/** Whom the user blocks, in the order of ids; not those who block the user, which is theirs to know. */
export async function blocksOf(db: Knex, userId: string): Promise<string[]> {
  const rows = await query<{ blocked_id: string }>(
    db,
    'SELECT blocked_id FROM blocks WHERE user_id = ? ORDER BY blocked_id',
    [userId],
  );
  return rows.map((row) => row.blocked_id);
}

/** From now on neither sees the other. Nothing changes for either where the other has blocked already. */
export function block(db: Knex, userId: string, blockedId: string): Promise<Untold> {
  return inTransaction(db, async (ask) => {
    await makeKnownAndLock(ask, [userId, blockedId]);
    const [made] = await ask<{ mutual: boolean }>(
      `INSERT INTO blocks (user_id, blocked_id) VALUES (?, ?) ON CONFLICT DO NOTHING
       RETURNING EXISTS (SELECT FROM blocks AS other WHERE other.user_id = ? AND other.blocked_id = ?) AS mutual`,
      [userId, blockedId, blockedId, userId],
    );
    const both = [userId, blockedId];
    return raise(ask, both, made && !made.mutual ? both : []);
  });
}

/** Ends the block of this user; that of the other, where there is one, stays. */
export function unblock(db: Knex, userId: string, blockedId: string): Promise<Untold> {
  return inTransaction(db, async (ask) => {
    await lock(ask, [userId, blockedId]);
    const [ended] = await ask<{ mutual: boolean }>(
      `DELETE FROM blocks WHERE user_id = ? AND blocked_id = ?
       RETURNING EXISTS (SELECT FROM blocks AS other WHERE other.user_id = ? AND other.blocked_id = ?) AS mutual`,
      [userId, blockedId, blockedId, userId],
    );
    const both = [userId, blockedId];
    return raise(ask, both, ended && !ended.mutual ? both : []);
  });
}

export async function settingsOf(db: Knex, userId: string): Promise<Settings> {
  return readSettings(asking(db), userId);
}

async function readSettings(ask: Ask, userId: string): Promise<Settings> {
  const [row] = await ask<Settings>(
    `SELECT visibility, last_seen_visibility AS "lastSeenVisibility", alert_friends AS "alertFriends"
       FROM user_settings WHERE user_id = ?`,
    [userId],
  );
  return row ?? DEFAULTS;
}

export type SettingsChange = { [Name in keyof Settings]?: Settings[Name] | undefined };

/** Changes what is named and leaves the rest. */
export function changeSettings(
  db: Knex,
  userId: string,
  wanted: SettingsChange,
): Promise<{ settings: Settings; untold: Untold }> {
  return inTransaction(db, async (ask) => {
    await makeKnownAndLock(ask, [userId]);
    const before = await readSettings(ask, userId);
    const visibility = wanted.visibility ?? before.visibility;
    const lastSeenVisibility = wanted.lastSeenVisibility ?? before.lastSeenVisibility;
    const alertFriends = wanted.alertFriends ?? before.alertFriends;
    await ask(
      `INSERT INTO user_settings (user_id, visibility, last_seen_visibility, alert_friends) VALUES (?, ?, ?, ?)
       ON CONFLICT (user_id) DO UPDATE SET visibility = excluded.visibility,
         last_seen_visibility = excluded.last_seen_visibility, alert_friends = excluded.alert_friends`,
      [userId, visibility, lastSeenVisibility, alertFriends],
    );
    const same = visibility === before.visibility && lastSeenVisibility === before.lastSeenVisibility;
    return {
      settings: { visibility, lastSeenVisibility, alertFriends },
      untold: await raise(ask, [userId], same ? [] : [userId]),
    };
  });
}

/** Those of the users for whom it matters who their friends are. */
async function whereFriendsCount(ask: Ask, users: { user_id: string }[]): Promise<string[]> {
  if (users.length === 0) return [];
  const rows = await ask<{ user_id: string }>(
    `SELECT user_id FROM user_settings
      WHERE user_id = ANY(?::text[]) AND 'friends' IN (visibility, last_seen_visibility)`,
    [users.map((user) => user.user_id)],
  );
  return rows.map((row) => row.user_id);
}
