import { isDeepStrictEqual } from 'node:util';
import type { Knex } from 'knex';
import {
  asksForFriends,
  type Difference,
  NO_DIFFERENCE,
  OPEN,
  type Privacy,
  type PrivacyStep,
} from '../presence/visibility.ts';
import { type Ask, asking } from './transaction.ts';

/** Whose privacy Redis has to hear of: what it is now and, where that is known, what was done to it. */
export interface PrivacyNews {
  privacy: Privacy;
  /** null: nothing was changed just now, or more than one change has gathered. */
  step: PrivacyStep | null;
}

export type Untold = Map<string, PrivacyNews>;

interface PrivacyRow {
  id: string;
  revision: string;
  visibility: Privacy['visibility'];
  last_seen_visibility: Privacy['lastSeenVisibility'];
  last_seen_precision: Privacy['lastSeenPrecision'];
  blocks: boolean;
}

/** Milliseconds of PostgreSQL's clock at this moment, not at the transaction's begin. */
const NOW_MS = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/**
 * Reads inside a transaction who may see these users, without the lists. Of a user who never restricted anything, and
 * whom nobody blocks, the revision is 0, known or not.
 */
export async function readPrivacy(ask: Ask, userIds: readonly string[]): Promise<Map<string, Privacy>> {
  if (userIds.length === 0) return new Map();
  const rows = await ask<PrivacyRow>('SELECT * FROM exact_privacy_of(?::text[])', [[...userIds]]);
  return new Map(
    rows.map((row) => {
      const openness = {
        visibility: row.visibility,
        lastSeenVisibility: row.last_seen_visibility,
        lastSeenPrecision: row.last_seen_precision,
      };
      const open = isDeepStrictEqual(openness, OPEN);
      return [row.id, { ...openness, revision: Number(row.revision), open: open && !row.blocks }];
    }),
  );
}

/**
 * Reads who may see these users, without the lists; an entry for each, with revision 0 where nothing was ever
 * restricted.
 */
export function privaciesOf(db: Knex, userIds: readonly string[]): Promise<Map<string, Privacy>> {
  return readPrivacy(asking(db), userIds);
}

/** Reads who may see a user, without the lists; revision 0 where nothing was ever restricted, known or not. */
export async function privacyOf(db: Knex, userId: string): Promise<Privacy> {
  return (await readPrivacy(asking(db), [userId])).get(userId) ?? { ...OPEN, revision: 0, open: true };
}

/**
 * A page of the ids of those who decide over who sees the user: `friends`, or `blocks` in either direction. At most
 * `limit` in their order, behind `afterId` ('' begins).
 */
export async function privacyList(
  db: Knex,
  userId: string,
  list: 'friends' | 'blocks',
  afterId: string,
  limit: number,
): Promise<string[]> {
  const rows =
    list === 'friends'
      ? await asking(db)<{ id: string }>(
          'SELECT friend_id AS id FROM friendships WHERE user_id = ? AND friend_id > ? ORDER BY 1 LIMIT ?',
          [userId, afterId, limit],
        )
      : await asking(db)<{ id: string }>(
          `(SELECT blocked_id AS id FROM blocks WHERE user_id = ? AND blocked_id > ? ORDER BY 1 LIMIT ?)
           UNION (SELECT user_id FROM blocks WHERE blocked_id = ? AND user_id > ? ORDER BY 1 LIMIT ?)
           ORDER BY 1 LIMIT ?`,
          [userId, afterId, limit, userId, afterId, limit, limit],
        );
  return rows.map((row) => row.id);
}

/** Users who ever restricted anything, by revision, a page in the order of ids; begin with ''. */
export async function restrictedUsers(
  db: Knex,
  afterId: string,
  limit: number,
): Promise<{ userId: string; privacy: Privacy }[]> {
  const ids = await asking(db)<{ id: string }>(
    `(SELECT id FROM users WHERE privacy_revision <> 0 AND id > ? ORDER BY 1 LIMIT ?)
     UNION (SELECT DISTINCT blocked_id FROM blocks WHERE blocked_id > ? ORDER BY 1 LIMIT ?)
     ORDER BY 1 LIMIT ?`,
    [afterId, limit, afterId, limit, limit],
  );
  const privacies = await readPrivacy(
    asking(db),
    ids.map((row) => row.id),
  );
  return ids.flatMap(({ id }) => {
    const privacy = privacies.get(id);
    return privacy ? [{ userId: id, privacy }] : [];
  });
}

/**
 * Makes the user's revision greater than `revision`, which Redis has: this PostgreSQL is older than that (restored, or a standby
 * that was promoted), and what it says is what counts. Returns what it says, with that revision.
 */
export async function raiseAbove(db: Knex, userId: string, revision: number): Promise<Privacy> {
  const ask = asking(db);
  await ask(
    `UPDATE users SET privacy_revision = GREATEST(?::bigint + 1, ${NOW_MS}) WHERE id = ? AND privacy_revision <= ?::bigint`,
    [revision, userId, revision],
  );
  const privacy = await privacyOf(db, userId);
  // Who has no row, or nothing that was ever restricted, is remembered by Redis alone, for as long as it needs.
  return { ...privacy, revision: Math.max(privacy.revision, revision + 1) };
}

/**
 * Locks the users' rows in the order of ids, as every writer does, making those that are missing. The update never
 * happens, but its lock does: in the same order as the inserts, which two statements would not keep.
 */
export async function makeKnownAndLock(ask: Ask, userIds: string[]): Promise<void> {
  await ask(
    `INSERT INTO users AS known (id)
     SELECT DISTINCT id COLLATE "C" FROM unnest(?::text[]) AS named (id) ORDER BY 1
     ON CONFLICT (id) DO UPDATE SET privacy_revision = known.privacy_revision WHERE false`,
    [userIds],
  );
}

/** Locks the rows of users for the transaction, in the order of their ids as every writer does. */
export async function lock(ask: Ask, userIds: string[]): Promise<void> {
  await ask('SELECT FROM users WHERE id = ANY(?::text[]) ORDER BY id FOR NO KEY UPDATE', [userIds]);
}

/** What was done to one user's lists, or (with neither) settings. */
export interface ListsChanged {
  userId: string;
  own: boolean;
  friends?: Difference;
  blocks?: Difference;
}

/**
 * Gives what has become of the privacy of those who changed its next revision, and notes that Redis has to hear of it, for as
 * long as it may not have. `before` is what `readPrivacy` said before the change, in the same transaction. Returns what
 * Redis is to be told of all who are concerned, changed or not: whoever repeats a change has it told again.
 */
export async function raise(
  ask: Ask,
  before: ReadonlyMap<string, Privacy>,
  changed: readonly ListsChanged[],
): Promise<Untold> {
  const now = await readPrivacy(ask, [...before.keys()]);
  const asked = [...before].filter(([, privacy]) => asksForFriends(privacy)).map(([userId]) => userId);
  const beginners = new Set([...now].flatMap(([userId, privacy]) => (asksForFriends(privacy) ? userId : [])));
  for (const userId of asked) beginners.delete(userId);
  const steps = new Map<string, PrivacyStep>();
  for (const { userId, own, friends = NO_DIFFERENCE, blocks = NO_DIFFERENCE } of changed) {
    const { revision: previous, open: wasOpen } = before.get(userId) ?? { revision: 0, open: true };
    steps.set(userId, { previous, wasOpen, own, friendsBegin: beginners.has(userId), friends, blocks });
  }
  const raised = new Map<string, number>();
  if (steps.size > 0) {
    const previous = [...steps.values()].map((step) => step.previous);
    // Of those without a row, who were blocked or are no longer.
    const current = [...steps.keys()].map((userId) => now.get(userId)?.revision ?? 0);
    const rows = await ask<{ user_id: string; revision: string; overtaken: boolean }>(
      `WITH named AS (
         SELECT * FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::text[]) AS named (id, previous, current, step)
       ), revised AS (
         UPDATE users SET privacy_revision = GREATEST(privacy_revision + 1, previous + 1, ${NOW_MS})
           FROM named WHERE users.id = named.id RETURNING users.id, privacy_revision
       ), noted AS (
       INSERT INTO privacy_changes (user_id, revision, step)
       SELECT named.id, COALESCE(privacy_revision, GREATEST(previous + 1, COALESCE(NULLIF(current, 0), ${NOW_MS}))), named.step::jsonb
         FROM named LEFT JOIN revised ON revised.id = named.id ORDER BY named.id COLLATE "C"
       ON CONFLICT (user_id) DO UPDATE SET revision = GREATEST(excluded.revision, privacy_changes.revision + 1),
         made_at = now(), applied_at = NULL,
         step = CASE WHEN privacy_changes.applied_at IS NULL THEN NULL ELSE excluded.step END
       RETURNING user_id, revision, step
       )
       SELECT user_id, revision, step IS NULL AND revised.id IS NULL AS overtaken
         FROM noted LEFT JOIN revised ON revised.id = user_id`,
      [[...steps.keys()], previous, current, [...steps.values()].map((step) => JSON.stringify(step))],
    );
    for (const row of rows) raised.set(row.user_id, Number(row.revision));
    // Who has no row has none that could be locked: another change may have been made since this one looked.
    const overtaken = rows.flatMap((row) => (row.overtaken ? row.user_id : []));
    for (const [userId, privacy] of await readPrivacy(ask, overtaken)) {
      now.set(userId, privacy);
      const step = steps.get(userId);
      if (step) steps.set(userId, { ...step, previous: 0, wasOpen: false });
    }
  }
  const unchanged = [...now.keys()].filter((userId) => !steps.has(userId));
  if (unchanged.length > 0) {
    const notes = await ask<{ user_id: string; revision: string }>(
      'SELECT user_id, revision FROM privacy_changes WHERE user_id = ANY(?::text[]) AND applied_at IS NULL',
      [unchanged],
    );
    for (const row of notes) raised.set(row.user_id, Number(row.revision));
  }
  return new Map(
    [...now].map(([userId, privacy]) => [
      userId,
      { privacy: { ...privacy, revision: raised.get(userId) ?? privacy.revision }, step: steps.get(userId) ?? null },
    ]),
  );
}
