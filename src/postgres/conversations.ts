import type { Knex } from 'knex';
import { query } from './connect.ts';

/** Makes somebody a member; nothing happens where they are one. */
export async function addMember(db: Knex, conversationId: string, userId: string): Promise<void> {
  await query(db, 'INSERT INTO conversation_members (conversation_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING', [
    conversationId,
    userId,
  ]);
}

export async function removeMember(db: Knex, conversationId: string, userId: string): Promise<void> {
  await query(db, 'DELETE FROM conversation_members WHERE conversation_id = ? AND user_id = ?', [
    conversationId,
    userId,
  ]);
}

export async function isMember(db: Knex, conversationId: string, userId: string): Promise<boolean> {
  const rows = await query(db, 'SELECT 1 FROM conversation_members WHERE conversation_id = ? AND user_id = ?', [
    conversationId,
    userId,
  ]);
  return rows.length > 0;
}
