import type { Knex } from 'knex';

/** Who may join a conversation: told by the host application, which knows. A member need not be a known user yet. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE conversation_members (
      conversation_id text COLLATE "C" NOT NULL,
      user_id text COLLATE "C" NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (conversation_id, user_id)
    )
  `);
  await db.raw('CREATE INDEX conversation_members_user ON conversation_members (user_id)');
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('conversation_members');
}
