import type { Knex } from 'knex';

/** For finding the choices that a Redis which came back may not have heard of. */
export async function up(db: Knex): Promise<void> {
  await db.raw('CREATE INDEX users_hidden ON users (hidden_set_at) WHERE hidden');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX users_hidden');
}
