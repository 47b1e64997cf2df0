import type { Knex } from 'knex';

/**
 * Up to where each receiver of webhooks has taken the change feed. The address itself may hold a secret, so a digest of it
 * stands for the receiver.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE webhooks (
      receiver text PRIMARY KEY,
      feed text NOT NULL,
      position bigint NOT NULL,
      taken_at timestamptz NOT NULL DEFAULT now()
    )
  `);
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('webhooks');
}
