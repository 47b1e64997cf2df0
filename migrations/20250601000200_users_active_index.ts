import type { Knex } from 'knex';

/** For paging through those whose last recorded change said active, after a loss of Redis. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`CREATE INDEX users_recorded_active ON users (id) WHERE status = 'active'`);
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX users_recorded_active');
}
