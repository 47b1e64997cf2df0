import type { Privacy } from '../presence/visibility.ts';
import type { Ask } from './transaction.ts';

/** Whose privacy has changed without Redis being sure to know, and what it has become. */
export type Untold = Map<string, Privacy>;

interface PrivacyRow {
  id: string;
  privacy_revision: string;
  visibility: Privacy['visibility'];
  last_seen_visibility: Privacy['lastSeenVisibility'];
  friends: string[];
  blocks: string[];
}

/** One statement: what it reads is true of one moment, of which the revision is the name. */
export async function readPrivacy(ask: Ask, userIds: readonly string[]): Promise<Map<string, Privacy>> {
  const rows = await ask<PrivacyRow>(
    `SELECT users.id, users.privacy_revision,
            COALESCE(visibility, 'everyone') AS visibility,
            COALESCE(last_seen_visibility, 'everyone') AS last_seen_visibility,
            CASE WHEN 'friends' IN (visibility, last_seen_visibility)
                 THEN ARRAY(SELECT friend_id FROM friendships WHERE friendships.user_id = users.id ORDER BY friend_id)
                 ELSE '{}' END AS friends,
            ARRAY(SELECT blocked_id FROM blocks WHERE blocks.user_id = users.id
                  UNION SELECT blocks.user_id FROM blocks WHERE blocked_id = users.id
                  ORDER BY 1) AS blocks
       FROM users LEFT JOIN user_settings ON user_settings.user_id = users.id
      WHERE users.id = ANY(?::text[])`,
    [[...userIds]],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        revision: Number(row.privacy_revision),
        visibility: row.visibility,
        lastSeenVisibility: row.last_seen_visibility,
        friends: row.friends,
        blocks: row.blocks,
      },
    ]),
  );
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

export async function lock(ask: Ask, userIds: string[]): Promise<void> {
  await ask('SELECT FROM users WHERE id = ANY(?::text[]) ORDER BY id FOR NO KEY UPDATE', [userIds]);
}

/**
 * Gives what has become of the privacy of those who changed its next revision, and notes that Redis has to hear of it.
 * Returns what Redis may not have heard of all who are concerned: whoever repeats a change that was made but not told has
 * it told.
 */
export async function raise(ask: Ask, concerned: string[], changed: string[]): Promise<Untold> {
  if (changed.length > 0) {
    await ask(
      `WITH raised AS (
         UPDATE users SET privacy_revision = privacy_revision + 1 WHERE id = ANY(?::text[])
         RETURNING id, privacy_revision
       )
       INSERT INTO privacy_changes (user_id, revision) SELECT id, privacy_revision FROM raised ORDER BY id
       ON CONFLICT (user_id) DO UPDATE SET revision = excluded.revision, made_at = now(), applied_at = NULL`,
      [changed],
    );
  }
  const untold = await ask<{ user_id: string }>(
    'SELECT user_id FROM privacy_changes WHERE user_id = ANY(?::text[]) AND applied_at IS NULL',
    [concerned],
  );
  return untold.length === 0
    ? new Map()
    : readPrivacy(
        ask,
        untold.map((change) => change.user_id),
      );
}
