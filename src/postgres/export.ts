import type { Knex } from 'knex';
import { query } from './connect.ts';

/**
 * Lists of what is kept about a user, but for the history, which has its own way (`transitionsBefore`). Each is read page by page
 * in the order of a key of its own, so no transaction stays open while somebody reads slowly. `key` has to be unique within what
 * is kept of one user. A column that a list names is called as the document calls it.
 */
interface List {
  /** Behind SELECT. */
  columns: string;
  from: string;
  /** Whose row it is. */
  owner: string;
  key: string;
  keyType: 'text' | 'bigint';
}

const LISTS = {
  profile: {
    columns: `display_name AS "displayName", avatar_url AS "avatarUrl", created_at AS "createdAt", last_seen AS "lastSeen"`,
    from: 'users',
    owner: 'id',
    key: 'id',
    keyType: 'text',
  },
  appearingInactive: {
    columns: `hidden_until AS "until"`,
    from: '(SELECT * FROM users WHERE hidden AND (hidden_until IS NULL OR hidden_until > now())) AS chosen',
    owner: 'id',
    key: 'id',
    keyType: 'text',
  },
  settings: {
    columns: `visibility, last_seen_visibility AS "lastSeenVisibility", last_seen_precision AS "lastSeenPrecision", alert_friends AS "alertFriends"`,
    from: 'user_settings',
    owner: 'user_id',
    key: 'user_id',
    keyType: 'text',
  },
  friends: {
    columns: `friend_id AS "userId", alert, created_at AS "since"`,
    from: 'friendships',
    owner: 'user_id',
    key: 'friend_id',
    keyType: 'text',
  },
  blocks: {
    columns: `blocked_id AS "userId", created_at AS "since"`,
    from: 'blocks',
    owner: 'user_id',
    key: 'blocked_id',
    keyType: 'text',
  },
  conversations: {
    columns: `conversation_id AS "conversationId", created_at AS "since"`,
    from: 'conversation_members',
    owner: 'user_id',
    key: 'conversation_id',
    keyType: 'text',
  },
  // Without the keys by which messages for that browser are sealed: what they open is nothing that is kept.
  pushSubscriptions: {
    columns: `endpoint, created_at AS "since", taken_at AS "takenAt", failing_since AS "failingSince"`,
    from: 'push_subscriptions',
    owner: 'user_id',
    key: 'endpoint',
    keyType: 'text',
  },
  // Without who did it.
  acts: {
    columns: 'at, act, detail',
    from: 'audit_log',
    owner: 'subject',
    key: 'id',
    keyType: 'bigint',
  },
} as const satisfies Record<string, List>;

export type KeptList = keyof typeof LISTS;

const PAGE = 1000;

/** What one of the lists has of a user, page by page. */
export async function* keptOf(db: Knex, userId: string, list: KeptList): AsyncGenerator<object[]> {
  const { columns, from, owner, key, keyType } = LISTS[list];
  let after = keyType === 'text' ? '' : '0';
  for (;;) {
    const rows = await query<{ page_key: string }>(
      db,
      `SELECT ${columns}, ${key}::text AS page_key FROM ${from}
        WHERE ${owner} = ? AND ${key} > ?::${keyType} ORDER BY ${key} LIMIT ?`,
      [userId, after, PAGE],
    );
    if (rows.length > 0) yield rows.map(({ page_key: _, ...row }) => row);
    after = rows.at(-1)?.page_key ?? '';
    if (rows.length < PAGE) return;
  }
}

/** Whether anything is kept of a user; what others keep of them is none of it. */
export async function isKept(db: Knex, userId: string): Promise<boolean> {
  const each = Object.values(LISTS).map(({ from, owner }) => `EXISTS (SELECT FROM ${from} WHERE ${owner} = named.id)`);
  const [row] = await query<{ kept: boolean }>(
    db,
    `SELECT ${each.join(' OR ')} AS kept FROM (SELECT ?::text COLLATE "C" AS id) AS named`,
    [userId],
  );
  return row?.kept ?? false;
}
