import type { Knex } from 'knex';

/**
 * What operators and services did to people. Who was erased is named by a keyed hash there, beginning with `#`, which no id does;
 * the key is made here, so that a list of hashes says nothing to whoever has no more than that.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    CREATE TABLE audit_key (
      single boolean PRIMARY KEY DEFAULT true CHECK (single),
      key bytea NOT NULL
    )
  `);
  await db.raw(`
    INSERT INTO audit_key (key)
    VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'))
  `);
  await db.raw(`
    CREATE TABLE audit_log (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL,
      actor text COLLATE "C" NOT NULL,
      act text NOT NULL,
      subject text COLLATE "C",
      detail jsonb
    )
  `);
  await db.raw('CREATE INDEX audit_log_at ON audit_log (at, id)');
  await db.raw('CREATE INDEX audit_log_actor ON audit_log (actor, at, id)');
  await db.raw('CREATE INDEX audit_log_subject ON audit_log (subject, at, id)');
}

export async function down(db: Knex): Promise<void> {
  await db.schema.dropTable('audit_log');
  await db.schema.dropTable('audit_key');
}
