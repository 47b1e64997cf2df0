import type { Knex } from 'knex';

/**
 * What was changed goes into the note for Redis, so that long lists need not be sent whole: `step` holds the revision before,
 * whether everything was open then, and who came to the lists and went. NULL: more than one change has gathered, and the
 * whole lists are to be read. The index finds everybody who ever restricted anything, in the order of ids.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE privacy_changes ADD COLUMN step jsonb');
  await db.raw('CREATE INDEX users_restricted ON users (id) WHERE privacy_revision <> 0');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX users_restricted');
  await db.raw('ALTER TABLE privacy_changes DROP COLUMN step');
}
