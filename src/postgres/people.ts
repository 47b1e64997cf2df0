import type { Knex } from 'knex';
import { query } from './connect.ts';

export interface FoundPerson {
  userId: string;
  displayName: string | null;
}

/**
 * Users whose id or whose name begins so, the ids first, each in its order and at most `limit` of both together. Names are
 * compared whatever their case, as far as the database's locale knows it. Both walk an index, however many users there are.
 */
export async function peopleBeginningWith(db: Knex, prefix: string, limit: number): Promise<FoundPerson[]> {
  const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
  const columns = 'id AS "userId", display_name AS "displayName"';
  const [byId, byName] = await Promise.all([
    query<FoundPerson>(db, `SELECT ${columns} FROM users WHERE id LIKE ? ORDER BY id LIMIT ?`, [pattern, limit]),
    query<FoundPerson>(
      db,
      `SELECT ${columns} FROM users WHERE display_name IS NOT NULL AND lower(display_name) COLLATE "C" LIKE lower(?)
        ORDER BY lower(display_name) COLLATE "C" LIMIT ?`,
      [pattern, limit],
    ),
  ]);
  return [...new Map([...byId, ...byName].map((person) => [person.userId, person])).values()].slice(0, limit);
}

/** How many friends a user has, and how many the user blocks. */
export async function tiesOf(db: Knex, userId: string): Promise<{ friends: number; blocks: number }> {
  const [row] = await query<{ friends: string; blocks: string }>(
    db,
    `SELECT (SELECT count(*) FROM friendships WHERE user_id = ?) AS friends,
            (SELECT count(*) FROM blocks WHERE user_id = ?) AS blocks`,
    [userId, userId],
  );
  return { friends: Number(row?.friends), blocks: Number(row?.blocks) };
}
