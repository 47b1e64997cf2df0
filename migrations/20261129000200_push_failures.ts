import type { Knex } from 'knex';

/**
 * How many messages in a row a subscription could not be given, since when, and when it took one last; who never did has
 * null. Of those that are here already it is not known, and they count as having worked.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    ALTER TABLE push_subscriptions
      ADD COLUMN failures integer NOT NULL DEFAULT 0,
      ADD COLUMN failing_since timestamptz,
      ADD COLUMN taken_at timestamptz DEFAULT now()
  `);
  await db.raw('ALTER TABLE push_subscriptions ALTER COLUMN taken_at DROP DEFAULT');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE push_subscriptions DROP COLUMN failures, DROP COLUMN failing_since, DROP COLUMN taken_at');
}
