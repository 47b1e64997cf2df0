import type { Knex } from 'knex';
import { query } from './connect.ts';
import { listsOf, type Membership } from './conversations.ts';

/** A removal from a conversation that Redis has to hear of. */
export interface Removal extends Membership {
  /** Another one for every removal. */
  revision: number;
  /** Whether the user has been made a member again since. */
  isMember: boolean;
  /** False for somebody who was erased, or never came. */
  isKnown: boolean;
}

/**
 * Removals from conversations that have waited for longer than `olderThanMs`, which their maker needs to tell Redis; at
 * most `limit`, the oldest first.
 */
export function untoldRemovals(db: Knex, olderThanMs: number, limit: number): Promise<Removal[]> {
  return select(
    db,
    `WHERE applied_at IS NULL AND made_at <= now() - ?::bigint * interval '1 millisecond'
     ORDER BY made_at LIMIT ?`,
    [olderThanMs, limit],
  );
}

/** Removals from conversations that Redis heard of longer than `longerAgoThanMs` ago; at most `limit`, the oldest first. */
export function toldRemovals(db: Knex, longerAgoThanMs: number, limit: number): Promise<Removal[]> {
  return select(
    db,
    `WHERE applied_at <= now() - ?::bigint * interval '1 millisecond'
     ORDER BY applied_at LIMIT ?`,
    [longerAgoThanMs, limit],
  );
}

/** Those removals of these memberships of which Redis has not heard for certain. */
export function untoldOf(db: Knex, memberships: readonly Membership[]): Promise<Removal[]> {
  return select(
    db,
    `JOIN unnest(?::text[], ?::text[]) AS named (conversation, who) ON conversation_id = conversation AND user_id = who
     WHERE applied_at IS NULL`,
    listsOf(memberships),
  );
}

async function select(db: Knex, condition: string, bindings: (number | string[])[]): Promise<Removal[]> {
  const rows = await query<{
    conversation_id: string;
    user_id: string;
    revision: string;
    is_member: boolean;
    is_known: boolean;
  }>(
    db,
    `SELECT conversation_id, user_id, revision,
            EXISTS (SELECT FROM conversation_members AS members
                     WHERE members.conversation_id = membership_changes.conversation_id
                       AND members.user_id = membership_changes.user_id) AS is_member,
            EXISTS (SELECT FROM users WHERE users.id = membership_changes.user_id) AS is_known
       FROM membership_changes ${condition}`,
    bindings,
  );
  return rows.map((row) => ({
    conversationId: row.conversation_id,
    userId: row.user_id,
    revision: Number(row.revision),
    isMember: row.is_member,
    isKnown: row.is_known,
  }));
}

/** Notes that Redis has heard of removals from conversations; one that came meanwhile goes on waiting. */
export async function markRemovalsTold(db: Knex, removals: readonly Removal[]): Promise<void> {
  await change(db, removals, 'UPDATE membership_changes SET applied_at = now() FROM locked');
}

/** Forgets removals from conversations that nobody has to hear of again. */
export async function dropRemovals(db: Knex, removals: readonly Removal[]): Promise<void> {
  await change(db, removals, 'DELETE FROM membership_changes USING locked');
}

/** In the order of the key, as whoever makes removals does: nobody waits in a circle. */
async function change(db: Knex, removals: readonly Removal[], statement: string): Promise<void> {
  if (removals.length === 0) return;
  await query(
    db,
    `WITH locked AS MATERIALIZED (
       SELECT conversation_id, user_id FROM membership_changes
         JOIN unnest(?::text[], ?::text[], ?::bigint[]) AS named (conversation, who, heard)
           ON conversation_id = conversation AND user_id = who AND revision = heard
        ORDER BY conversation_id, user_id
          FOR UPDATE OF membership_changes
     )
     ${statement}
      WHERE membership_changes.conversation_id = locked.conversation_id AND membership_changes.user_id = locked.user_id`,
    [...listsOf(removals), removals.map((removal) => removal.revision)],
  );
}
