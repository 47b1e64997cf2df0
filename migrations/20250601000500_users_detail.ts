import type { Knex } from 'knex';

/** What users show beside the status. The index is for those whose detail ends by itself: after a loss of Redis too. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    ALTER TABLE users
      ADD COLUMN detail jsonb,
      ADD COLUMN detail_until timestamptz,
      ADD COLUMN detail_set_at bigint
  `);
  await db.raw(`
    COMMENT ON COLUMN users.detail IS 'availability, text and emoji, until detail_until where that is set';
    COMMENT ON COLUMN users.detail_set_at IS 'milliseconds of the Redis clock at which it was last set'
  `);
  await db.raw('CREATE INDEX users_ending_detail ON users (id) WHERE detail_until IS NOT NULL');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX users_ending_detail');
  await db.raw('ALTER TABLE users DROP COLUMN detail, DROP COLUMN detail_until, DROP COLUMN detail_set_at');
}
