import type { Knex } from 'knex';
import {
  type Access,
  asksForFriends,
  OPEN,
  type Openness,
  type Privacy,
  type Relation,
} from '../presence/visibility.ts';
import { query } from './connect.ts';
import { lock, makeKnownAndLock, raise, readPrivacy, type Untold } from './privacy.ts';
import { type Ask, asking, inTransaction } from './transaction.ts';

/** So many may one user block; it bounds what a change of privacy costs. */
export const MAX_BLOCKS = 1000;
/** So many friends may a user have whose settings say friends. */
export const MAX_FRIENDS = 5000;

/** Thrown where a list is as long as it may be; nothing was changed. */
export class ListFull extends Error {
  readonly list: 'blocks' | 'friends';

  constructor(list: 'blocks' | 'friends') {
    super(`The list of ${list} is full`);
    this.list = list;
  }
}

/** A part of a list in the order of ids. */
export interface ListPage {
  afterId: string;
  limit: number;
}
const WHOLE: ListPage = { afterId: '', limit: 2 ** 31 - 1 };

export type Alert = 'never' | 'once' | 'always';

export interface Settings extends Openness {
  /** Whether friends who asked for it may be alerted when this user becomes active. */
  alertFriends: boolean;
}

const DEFAULTS: Settings = { ...OPEN, alertFriends: true };

/**
 * What a viewer may see of these users; who is missing is seen whole. It follows `accessOf`, and looks up the same things
 * whatever the answer.
 */
export async function accesses(db: Knex, viewerId: string, userIds: readonly string[]): Promise<Map<string, Access>> {
  if (userIds.length === 0) return new Map();
  const rows = await query<{ id: string; access: Access }>(
    db,
    `WITH viewed AS MATERIALIZED (
       SELECT asked.id,
              COALESCE(visibility, 'everyone') AS visibility,
              COALESCE(last_seen_visibility, 'everyone') AS last_seen_visibility,
              COALESCE(last_seen_precision, 'exact') AS last_seen_precision,
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
         WHEN last_seen_visibility = 'nobody' OR last_seen_visibility = 'friends' AND NOT friend THEN 'status'
         WHEN last_seen_precision = 'coarse' THEN 'coarse'
         ELSE 'all' END AS access
         FROM viewed
     )
     SELECT id, access FROM judged WHERE access <> 'all'`,
    [[...userIds], viewerId, viewerId, viewerId, viewerId],
  );
  return new Map(rows.map((row) => [row.id, row.access]));
}

/**
 * What a user allows, and what is between the user and each of these viewers, in their order; by the rules of
 * `accesses`.
 */
export async function relationsOf(
  db: Knex,
  userId: string,
  viewerIds: readonly string[],
): Promise<Openness & { relations: Pick<Relation, 'friend' | 'blocked'>[] }> {
  const ask = asking(db);
  const privacy = (await readPrivacy(ask, [userId])).get(userId) ?? OPEN;
  const rows = await ask<{ friend: boolean; blocked: boolean }>(
    `SELECT EXISTS (SELECT FROM friendships WHERE user_id = ? AND friend_id = viewer.id) AS friend,
            EXISTS (SELECT FROM blocks WHERE user_id = ? AND blocked_id = viewer.id)
              OR EXISTS (SELECT FROM blocks WHERE user_id = viewer.id AND blocked_id = ?) AS blocked
       FROM unnest(?::text[]) WITH ORDINALITY AS viewer (id, place) ORDER BY place`,
    [userId, userId, userId, [...viewerIds]],
  );
  const { visibility, lastSeenVisibility, lastSeenPrecision } = privacy;
  return { visibility, lastSeenVisibility, lastSeenPrecision, relations: rows };
}

export interface Friend {
  userId: string;
  alert: Alert;
}

/** Friends of a user in the order of their ids, all or a page, and whether the user wants to hear when each becomes active. */
export async function friendsOf(db: Knex, userId: string, { afterId, limit }: ListPage = WHOLE): Promise<Friend[]> {
  const rows = await query<{ friend_id: string; alert: Alert }>(
    db,
    'SELECT friend_id, alert FROM friendships WHERE user_id = ? AND friend_id > ? ORDER BY friend_id LIMIT ?',
    [userId, afterId, limit],
  );
  return rows.map((row) => ({ userId: row.friend_id, alert: row.alert }));
}

/** Which of these are the user's friends. */
export async function friendsAmong(db: Knex, userId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await query<{ friend_id: string }>(
    db,
    'SELECT friend_id FROM friendships WHERE user_id = ? AND friend_id = ANY(?::text[])',
    [userId, ids],
  );
  return rows.map((row) => row.friend_id);
}

/**
 * Makes both friends. Ids that nobody ever heard of become users who never came. Throws ListFull where one of the two has
 * too many friends already to ask for them in the settings.
 */
export function befriend(db: Knex, userId: string, friendId: string): Promise<Untold> {
  const both = [userId, friendId];
  return inTransaction(db, async (ask) => {
    await makeKnownAndLock(ask, both);
    const before = await readPrivacy(ask, both);
    const made = await ask<{ user_id: string; friend_id: string }>(
      `INSERT INTO friendships (user_id, friend_id) VALUES (?, ?), (?, ?)
       ON CONFLICT DO NOTHING RETURNING user_id, friend_id`,
      [userId, friendId, friendId, userId],
    );
    const concerned = made.filter((row) => countsFriends(before, row.user_id));
    for (const row of concerned) await boundFriends(ask, row.user_id);
    return raise(
      ask,
      before,
      concerned.map((row) => {
        return { userId: row.user_id, own: false, friends: { added: [row.friend_id], removed: [] } };
      }),
    );
  });
}

/** Ends a friendship for both. Returns what Redis has to be told. */
export function unfriend(db: Knex, userId: string, friendId: string): Promise<Untold> {
  const both = [userId, friendId];
  return inTransaction(db, async (ask) => {
    await lock(ask, both);
    const before = await readPrivacy(ask, both);
    const ended = await ask<{ user_id: string; friend_id: string }>(
      `DELETE FROM friendships WHERE (user_id, friend_id) IN ((?, ?), (?, ?)) RETURNING user_id, friend_id`,
      [userId, friendId, friendId, userId],
    );
    return raise(
      ask,
      before,
      ended
        .filter((row) => countsFriends(before, row.user_id))
        .map((row) => {
          return { userId: row.user_id, own: false, friends: { added: [], removed: [row.friend_id] } };
        }),
    );
  });
}

/** Sets whether the user is told when the friend becomes active. Returns false where the two are no friends. */
export async function setAlert(db: Knex, userId: string, friendId: string, alert: Alert): Promise<boolean> {
  const rows = await query(
    db,
    'UPDATE friendships SET alert = ? WHERE user_id = ? AND friend_id = ? RETURNING friend_id',
    [alert, userId, friendId],
  );
  return rows.length > 0;
}

/**
 * The ids of those whom the user blocks, in their order, all or a page; not of those who block the user, which is
 * theirs to know.
 */
export async function blocksOf(db: Knex, userId: string, { afterId, limit }: ListPage = WHOLE): Promise<string[]> {
  const rows = await query<{ blocked_id: string }>(
    db,
    'SELECT blocked_id FROM blocks WHERE user_id = ? AND blocked_id > ? ORDER BY blocked_id LIMIT ?',
    [userId, afterId, limit],
  );
  return rows.map((row) => row.blocked_id);
}

/**
 * Blocks somebody: from now on neither sees the other. Nothing changes for either where the other has blocked already.
 * Who is blocked need not be known, and does not become so. Returns what Redis has to be told; throws ListFull.
 */
export function block(db: Knex, userId: string, blockedId: string): Promise<Untold> {
  const both = [userId, blockedId];
  return inTransaction(db, async (ask) => {
    // In the order of ids, as everybody takes them.
    if (blockedId < userId) await lock(ask, [blockedId]);
    await makeKnownAndLock(ask, [userId]);
    if (blockedId > userId) await lock(ask, [blockedId]);
    const before = await readPrivacy(ask, both);
    // Counted without the new one; the index alone is read.
    const [made] = await ask<{ mutual: boolean; others: string }>(
      `INSERT INTO blocks (user_id, blocked_id, created_at) VALUES (?, ?, clock_timestamp()) ON CONFLICT DO NOTHING
       RETURNING EXISTS (SELECT FROM blocks AS other WHERE other.user_id = ? AND other.blocked_id = ?) AS mutual,
                 (SELECT count(*) FROM blocks AS other WHERE other.user_id = ?) AS others`,
      [userId, blockedId, blockedId, userId, userId],
    );
    if (made && Number(made.others) >= MAX_BLOCKS) throw new ListFull('blocks');
    return raise(ask, before, made && !made.mutual ? bothWays(userId, blockedId, true) : []);
  });
}

/** Ends the block that this user made; that of the other, where there is one, stays. Returns what Redis has to be told. */
export function unblock(db: Knex, userId: string, blockedId: string): Promise<Untold> {
  const both = [userId, blockedId];
  return inTransaction(db, async (ask) => {
    await lock(ask, both);
    const before = await readPrivacy(ask, both);
    const [ended] = await ask<{ mutual: boolean }>(
      `DELETE FROM blocks WHERE user_id = ? AND blocked_id = ?
       RETURNING EXISTS (SELECT FROM blocks AS other WHERE other.user_id = ? AND other.blocked_id = ?) AS mutual`,
      [userId, blockedId, blockedId, userId],
    );
    return raise(ask, before, ended && !ended.mutual ? bothWays(userId, blockedId, false) : []);
  });
}

function bothWays(userId: string, blockedId: string, came: boolean) {
  const difference = (id: string) => (came ? { added: [id], removed: [] } : { added: [], removed: [id] });
  return [
    { userId, own: true, blocks: difference(blockedId) },
    { userId: blockedId, own: false, blocks: difference(userId) },
  ];
}

/** The settings of a user; those of somebody who never set any where the id is not known. */
export async function settingsOf(db: Knex, userId: string): Promise<Settings> {
  return readSettings(asking(db), userId);
}

async function readSettings(ask: Ask, userId: string): Promise<Settings> {
  const [row] = await ask<Settings>(
    `SELECT visibility, last_seen_visibility AS "lastSeenVisibility", last_seen_precision AS "lastSeenPrecision",
            alert_friends AS "alertFriends"
       FROM user_settings WHERE user_id = ?`,
    [userId],
  );
  return row ?? DEFAULTS;
}

export type SettingsChange = { [Name in keyof Settings]?: Settings[Name] | undefined };

/**
 * Changes the settings that are named and leaves the rest. Returns all of them, and what Redis has to be told. Throws
 * ListFull where the friends are too many to be asked for.
 */
export function changeSettings(
  db: Knex,
  userId: string,
  wanted: SettingsChange,
): Promise<{ settings: Settings; untold: Untold }> {
  return inTransaction(db, async (ask) => {
    await makeKnownAndLock(ask, [userId]);
    const privacy = await readPrivacy(ask, [userId]);
    const before = await readSettings(ask, userId);
    const visibility = wanted.visibility ?? before.visibility;
    const lastSeenVisibility = wanted.lastSeenVisibility ?? before.lastSeenVisibility;
    const lastSeenPrecision = wanted.lastSeenPrecision ?? before.lastSeenPrecision;
    const alertFriends = wanted.alertFriends ?? before.alertFriends;
    if (asksForFriends({ visibility, lastSeenVisibility }) && !asksForFriends(before)) await boundFriends(ask, userId);
    await ask(
      `INSERT INTO user_settings (user_id, visibility, last_seen_visibility, last_seen_precision, alert_friends)
       VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (user_id) DO UPDATE SET visibility = excluded.visibility,
         last_seen_visibility = excluded.last_seen_visibility, last_seen_precision = excluded.last_seen_precision,
         alert_friends = excluded.alert_friends`,
      [userId, visibility, lastSeenVisibility, lastSeenPrecision, alertFriends],
    );
    const same =
      visibility === before.visibility &&
      lastSeenVisibility === before.lastSeenVisibility &&
      lastSeenPrecision === before.lastSeenPrecision;
    return {
      settings: { visibility, lastSeenVisibility, lastSeenPrecision, alertFriends },
      untold: await raise(ask, privacy, same ? [] : [{ userId, own: true }]),
    };
  });
}

function countsFriends(privacies: ReadonlyMap<string, Privacy>, userId: string): boolean {
  const privacy = privacies.get(userId);
  return privacy !== undefined && asksForFriends(privacy);
}

/** Cheap for as long as the bound holds: the index alone is read. */
async function boundFriends(ask: Ask, userId: string): Promise<void> {
  const [row] = await ask<{ count: string }>('SELECT count(*) FROM friendships WHERE user_id = ?', [userId]);
  if (Number(row?.count) > MAX_FRIENDS) throw new ListFull('friends');
}
