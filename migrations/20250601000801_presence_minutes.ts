import type { Knex } from 'knex';

/**
 * A row a minute: how many were active, counted once in it, and how many came or went. `transitions` is raised by the
 * statement that writes the history, many times a minute, so the pages leave room.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE presence_minutes (
      minute timestamptz PRIMARY KEY,
      active integer,
      transitions integer NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50)
  `);
  await db.raw(`COMMENT ON COLUMN presence_minutes.active IS 'null: nobody counted in this minute'`);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('presence_minutes');
}
