import type { Knex } from 'knex';

/**
 * For finding people by how their names begin, whatever the case. By bytes, so that the index serves a prefix and its order
 * whatever the collation of the database.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(
    'CREATE INDEX IF NOT EXISTS users_display_name_prefix ON users (lower(display_name) COLLATE "C") WHERE display_name IS NOT NULL',
  );
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX users_display_name_prefix');
}
