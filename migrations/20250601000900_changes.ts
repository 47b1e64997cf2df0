import type { Knex } from 'knex';

/**
 * The change feed. What the history takes in arrives in `changes_arriving`; one writer at a time moves it to `changes` and
 * gives it positions, for serial ids alone would become visible out of order. `change_feed` is one row: the last position
 * given, and the one up to which nothing can be relied on any more, since it was dropped.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE change_feed (
      single boolean PRIMARY KEY DEFAULT true CHECK (single),
      id text NOT NULL,
      last_position bigint NOT NULL DEFAULT 0,
      dropped_through bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 10)
  `);
  await db.raw(`COMMENT ON COLUMN change_feed.id IS 'tells a cursor of this feed from one of another database'`);
  await db.raw(`INSERT INTO change_feed (id) VALUES (substr(md5(gen_random_uuid()::text), 1, 8))`);
  await db.raw(`
    CREATE TABLE changes_arriving (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      user_id text COLLATE "C" NOT NULL,
      version bigint NOT NULL,
      at timestamptz NOT NULL,
      status text NOT NULL,
      cause text NOT NULL,
      last_seen timestamptz
    )
  `);
  await db.raw(`
    CREATE TABLE changes (
      position bigint PRIMARY KEY,
      user_id text COLLATE "C" NOT NULL,
      version bigint NOT NULL,
      at timestamptz NOT NULL,
      status text NOT NULL,
      cause text NOT NULL,
      last_seen timestamptz
    )
  `);
  // For erasing somebody.
  await db.raw('CREATE INDEX changes_user ON changes (user_id)');
  await db.raw('CREATE INDEX changes_arriving_user ON changes_arriving (user_id)');
  await db.raw(`CREATE INDEX changes_erased ON changes (position) WHERE cause = 'erased'`);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('changes');
  await db.schema.dropTable('changes_arriving');
  await db.schema.dropTable('change_feed');
}
