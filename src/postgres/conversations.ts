import type { Knex } from 'knex';
import { query } from './connect.ts';

export interface Membership {
  conversationId: string;
  userId: string;
}

/** Makes somebody a member; nothing happens where they are one. */
export async function addMember(db: Knex, { conversationId, userId }: Membership): Promise<void> {
  await query(db, 'INSERT INTO conversation_members (conversation_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING', [
    conversationId,
    userId,
  ]);
}

/** Takes somebody out, and notes with it that Redis has to hear of it; nothing happens where they are no member. */
export async function removeMember(db: Knex, { conversationId, userId }: Membership): Promise<void> {
  await query(db, 'DELETE FROM conversation_members WHERE conversation_id = ? AND user_id = ?', [
    conversationId,
    userId,
  ]);
}

/** Whether the user is a member of the conversation. */
export async function isMember(db: Knex, membership: Membership): Promise<boolean> {
  return (await withoutMembers(db, [membership])).length === 0;
}

/** Finds in one statement which of these memberships do not exist; each comes once at most. */
export async function withoutMembers(db: Knex, memberships: readonly Membership[]): Promise<Membership[]> {
  if (memberships.length === 0) return [];
  const rows = await query<{ conversation_id: string; user_id: string }>(
    db,
    `SELECT conversation_id, user_id FROM unnest(?::text[], ?::text[]) AS asked (conversation_id, user_id)
     EXCEPT
     SELECT conversation_id, user_id FROM conversation_members JOIN unnest(?::text[], ?::text[]) AS asked (conversation, who)
         ON conversation_id = conversation AND user_id = who`,
    [...listsOf(memberships), ...listsOf(memberships)],
  );
  return rows.map((row) => ({ conversationId: row.conversation_id, userId: row.user_id }));
}

/** The conversations and the users of memberships as two lists of the same length, for `unnest`. */
export function listsOf(memberships: readonly Membership[]): [string[], string[]] {
  return [memberships.map(({ conversationId }) => conversationId), memberships.map(({ userId }) => userId)];
}
