import type { Knex } from 'knex';

/** Where a user's browsers listen for Web Push. A browser that signs in as somebody else takes its endpoint along. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE push_subscriptions (
      endpoint text PRIMARY KEY,
      user_id text COLLATE "C" NOT NULL,
      p256dh text NOT NULL,
      auth text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    )
  `);
  await db.raw('CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id)');
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('push_subscriptions');
}
