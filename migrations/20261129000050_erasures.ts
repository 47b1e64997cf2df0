import type { Knex } from 'knex';

/**
 * That somebody was erased, and when, without saying who: the hash of the id answers for an id that somebody names. It is kept
 * for a day, for a Redis that comes back with what was erased, and for connections that go on speaking in the erased one's name.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE erasures (
      id_hash bytea PRIMARY KEY,
      erased_at timestamptz NOT NULL DEFAULT now()
    )
  `);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('erasures');
}
