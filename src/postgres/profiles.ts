import type { Knex } from 'knex';
import { query } from './connect.ts';

export interface StoredProfile {
  displayName: string | null;
  avatarUrl: string | null;
  createdAt: Date;
}

const COLUMNS = `display_name AS "displayName", avatar_url AS "avatarUrl", created_at AS "createdAt"`;

/** A user's profile; null where nobody ever heard of the id. */
export async function loadProfile(db: Knex, userId: string): Promise<StoredProfile | null> {
  const [row] = await query<StoredProfile>(db, `SELECT ${COLUMNS} FROM users WHERE id = ?`, [userId]);
  return row ?? null;
}

/** Changes what is named of a user's profile; what is undefined stays as it is. A user nobody heard of becomes known. */
export async function saveProfile(
  db: Knex,
  userId: string,
  { displayName, avatarUrl }: { displayName?: string | null | undefined; avatarUrl?: string | null | undefined },
): Promise<void> {
  await query(
    db,
    `INSERT INTO users AS known (id, display_name, avatar_url) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       display_name = CASE WHEN ?::boolean THEN excluded.display_name ELSE known.display_name END,
       avatar_url = CASE WHEN ?::boolean THEN excluded.avatar_url ELSE known.avatar_url END`,
    [userId, displayName ?? null, avatarUrl ?? null, displayName !== undefined, avatarUrl !== undefined],
  );
}
