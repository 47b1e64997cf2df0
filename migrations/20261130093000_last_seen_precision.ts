import type { Knex } from 'knex';
import { createStoredUsers } from './20261130000100_detail_sources.ts';

/**
 * How exactly a user lets others know when they were last seen. The question for everybody who comes counts who lets them know
 * it coarsely as restricted, and the one for who may see somebody has an answer of another form, so another name.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`
    ALTER TABLE user_settings ADD COLUMN IF NOT EXISTS last_seen_precision text NOT NULL DEFAULT 'exact'
      CHECK (last_seen_precision IN ('exact', 'coarse'))
  `);
  await db.raw(`
    CREATE OR REPLACE FUNCTION exact_privacy_of(ids text[])
      RETURNS TABLE (
        id text, revision bigint, visibility text, last_seen_visibility text, last_seen_precision text, blocks boolean
      )
      LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
    #variable_conflict use_column
    BEGIN
      RETURN QUERY
      SELECT known.id, known.revision, known.visibility, known.last_seen_visibility,
             COALESCE(settings.last_seen_precision, 'exact'), known.blocks
        FROM privacy_of(ids) AS known LEFT JOIN user_settings AS settings ON settings.user_id = known.id COLLATE "C";
    END $$
  `);
  await createStoredUsers(
    db,
    `(visibility, last_seen_visibility, last_seen_precision) <> ('everyone', 'everyone', 'exact')`,
  );
}

const BY_INDEX = 'SET plan_cache_mode = force_generic_plan SET enable_seqscan = off';

export async function down(db: Knex): Promise<void> {
  await createStoredUsers(db, `(visibility, last_seen_visibility) <> ('everyone', 'everyone')`);
  await db.raw('DROP FUNCTION exact_privacy_of(text[])');
  await db.raw('ALTER TABLE user_settings DROP COLUMN last_seen_precision');
}
