import type { Knex } from 'knex';

/** Which fields a detail has is said by the protocol alone, so that a new one needs no step here. */
export async function up(db: Knex): Promise<void> {
  await comment(
    db,
    'what others see beside the status (the fields of the protocol), until detail_until where that is set',
  );
}

export async function down(db: Knex): Promise<void> {
  await comment(db, 'availability, text and emoji, until detail_until where that is set');
}

async function comment(db: Knex, text: string): Promise<void> {
  await db.raw(`COMMENT ON COLUMN users.detail IS '${text}'`);
}
