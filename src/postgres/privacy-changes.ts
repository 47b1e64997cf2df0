import type { Knex } from 'knex';
import type { PrivacyStep } from '../presence/visibility.ts';
import { query } from './connect.ts';

/** A change of privacy that Redis has to hear of. */
export interface PrivacyChange {
  userId: string;
  revision: number;
}

/** `step` null: more than one change has gathered. */
export type NotedChange = PrivacyChange & { step: PrivacyStep | null };

/**
 * Changes of privacy that have waited for longer than `olderThanMs`, which their maker needs to tell Redis; at most
 * `limit`, the oldest first.
 */
export function untoldChanges(db: Knex, olderThanMs: number, limit: number): Promise<NotedChange[]> {
  return select(
    db,
    `WHERE applied_at IS NULL AND made_at <= now() - ?::bigint * interval '1 millisecond'
     ORDER BY made_at LIMIT ?`,
    [olderThanMs, limit],
  );
}

/** Changes of privacy that Redis heard of longer than `longerAgoThanMs` ago; at most `limit`, the oldest first. */
export function toldChanges(db: Knex, longerAgoThanMs: number, limit: number): Promise<NotedChange[]> {
  return select(
    db,
    `WHERE applied_at <= now() - ?::bigint * interval '1 millisecond'
     ORDER BY applied_at LIMIT ?`,
    [longerAgoThanMs, limit],
  );
}

async function select(db: Knex, condition: string, bindings: number[]): Promise<NotedChange[]> {
  const rows = await query<{ user_id: string; revision: string; step: PrivacyStep | null }>(
    db,
    `SELECT user_id, revision, step FROM privacy_changes ${condition}`,
    bindings,
  );
  return rows.map(({ user_id, revision, step }) => ({ userId: user_id, revision: Number(revision), step }));
}

/** Notes that Redis has heard of changes of privacy; one that came meanwhile goes on waiting. */
export async function markTold(db: Knex, changes: readonly PrivacyChange[]): Promise<void> {
  if (changes.length === 0) return;
  await query(
    db,
    `${LOCKED} UPDATE privacy_changes SET applied_at = now() FROM locked WHERE privacy_changes.user_id = locked.user_id`,
    listsOf(changes),
  );
}

/** Forgets changes of privacy that nobody has to hear of again. */
export async function dropChanges(db: Knex, changes: readonly PrivacyChange[]): Promise<void> {
  if (changes.length === 0) return;
  await query(
    db,
    `${LOCKED} DELETE FROM privacy_changes USING locked WHERE privacy_changes.user_id = locked.user_id`,
    listsOf(changes),
  );
}

/** In the order of ids, as those who make changes do: nobody waits in a circle. */
const LOCKED = `
  WITH locked AS MATERIALIZED (
    SELECT user_id FROM privacy_changes JOIN unnest(?::text[], ?::bigint[]) AS named (id, heard)
        ON user_id = named.id AND revision = named.heard
     ORDER BY user_id
       FOR UPDATE OF privacy_changes
  )`;

function listsOf(changes: readonly PrivacyChange[]): [string[], number[]] {
  return [changes.map((change) => change.userId), changes.map((change) => change.revision)];
}
