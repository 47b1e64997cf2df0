import type { Knex } from 'knex';

/**
 * Who is whose friend, who blocks whom, and who may see what. A friendship is two rows, one in each direction; `alert`
 * is what `user_id` wants to hear of `friend_id`. Every change of what others may see raises `users.privacy_revision`
 * and leaves a row in `privacy_changes` until Redis is sure to have it.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE users ADD COLUMN privacy_revision bigint NOT NULL DEFAULT 0');
  await db.raw(`
    CREATE TABLE friendships (
      user_id text COLLATE "C" NOT NULL,
      friend_id text COLLATE "C" NOT NULL,
      alert text NOT NULL DEFAULT 'never' CHECK (alert IN ('never', 'once', 'always')),
      alerted_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (user_id, friend_id),
      CHECK (user_id <> friend_id)
    )
  `);
  await db.raw(`CREATE INDEX friendships_alerts ON friendships (friend_id) WHERE alert <> 'never'`);
  await db.raw(`
    CREATE TABLE blocks (
      user_id text COLLATE "C" NOT NULL,
      blocked_id text COLLATE "C" NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (user_id, blocked_id),
      CHECK (user_id <> blocked_id)
    )
  `);
  await db.raw('CREATE INDEX blocks_blocked ON blocks (blocked_id)');
  await db.raw(`
    CREATE TABLE user_settings (
      user_id text COLLATE "C" PRIMARY KEY,
      visibility text NOT NULL DEFAULT 'everyone' CHECK (visibility IN ('everyone', 'friends', 'nobody')),
      last_seen_visibility text NOT NULL DEFAULT 'everyone'
        CHECK (last_seen_visibility IN ('everyone', 'friends', 'nobody')),
      alert_friends boolean NOT NULL DEFAULT true
    )
  `);
  await db.raw(`
    CREATE TABLE privacy_changes (
      user_id text COLLATE "C" PRIMARY KEY,
      revision bigint NOT NULL,
      made_at timestamptz NOT NULL DEFAULT now(),
      applied_at timestamptz
    )
  `);
  await db.raw(
    `COMMENT ON COLUMN privacy_changes.applied_at IS 'when Redis was told; the row stays a while, for a failover may forget'`,
  );
}

export async function down(db: Knex): Promise<void> {
  for (const table of ['privacy_changes', 'user_settings', 'blocks', 'friendships']) await db.schema.dropTable(table);
  await db.raw('ALTER TABLE users DROP COLUMN privacy_revision');
}
