import type { Knex } from 'knex';

/** Every time somebody became active or inactive. The key makes a transition that is recorded twice one row. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE status_transitions (
      user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      version bigint NOT NULL,
      at timestamptz NOT NULL,
      status text NOT NULL CHECK (status IN ('active', 'inactive')),
      cause text NOT NULL,
      last_seen timestamptz,
      PRIMARY KEY (user_id, version)
    )
  `);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('status_transitions');
}
