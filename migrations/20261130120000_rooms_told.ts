import type { Knex } from 'knex';

/**
 * Rooms that became occupied or vacated are told in the change feed: such a row names a room and, since every row has one, a user of no
 * name. `rooms_told` has what was told of each room last, so that it is told once, and that it outlives Redis.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE changes ADD COLUMN room_id text');
  await db.raw('ALTER TABLE changes_arriving ADD COLUMN room_id text');
  await db.raw(`
    CREATE TABLE rooms_told (
      room_id text PRIMARY KEY,
      occupied boolean NOT NULL,
      version bigint NOT NULL
    )
  `);
  await db.raw('CREATE INDEX rooms_told_vacated ON rooms_told (version) WHERE NOT occupied');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DELETE FROM changes WHERE room_id IS NOT NULL');
  await db.raw('DELETE FROM changes_arriving WHERE room_id IS NOT NULL');
  await db.raw('ALTER TABLE changes DROP COLUMN room_id');
  await db.raw('ALTER TABLE changes_arriving DROP COLUMN room_id');
  await db.schema.dropTable('rooms_told');
}
