import type { Knex } from 'knex';

/**
 * Who was ever heard of. Ids are ASCII, so the "C" collation sorts them as every other store does. Most updates move
 * `last_seen` alone: it has no index and the pages leave room, so that such an update touches no index at all.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE users (
      id text COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128),
      display_name text,
      avatar_url text,
      last_seen timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      version bigint NOT NULL DEFAULT 0,
      status text NOT NULL DEFAULT 'inactive' CHECK (status IN ('active', 'inactive')),
      hidden boolean NOT NULL DEFAULT false,
      hidden_until timestamptz,
      hidden_set_at bigint
    ) WITH (fillfactor = 70)
  `);
  await db.raw(`
    COMMENT ON COLUMN users.version IS 'version of the last recorded change; only grows';
    COMMENT ON COLUMN users.status IS 'status of the last recorded change; Redis alone knows who is active now';
    COMMENT ON COLUMN users.hidden IS 'appears inactive by choice, until hidden_until where that is set';
    COMMENT ON COLUMN users.hidden_set_at IS 'milliseconds of the Redis clock at which that was last chosen or ended'
  `);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('users');
}
