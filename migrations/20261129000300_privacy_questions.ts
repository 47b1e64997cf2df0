import type { Knex } from 'knex';

/**
 * The two questions that are asked for everybody who comes, and for every change of who may see somebody. Planning them takes
 * PostgreSQL four times as long as answering, and a statement that is sent as text is planned each time; a function's is planned
 * once for a connection of the server, whoever uses it, a pooler's clients included. The plan is one for any number of
 * ids, however the tables grow: each is looked up by an index.
 *
 * Programs of two releases call these side by side: whoever needs another answer makes a function of another name.
 */
export async function up(db: Knex): Promise<void> {
  // They may be there: a backup from before this step brings back its tables, and takes nothing else away.
  await db.raw(`
    CREATE OR REPLACE FUNCTION privacy_of(ids text[])
      RETURNS TABLE (id text, revision bigint, visibility text, last_seen_visibility text, blocks boolean)
      LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
    #variable_conflict use_column
    BEGIN
      RETURN QUERY
      SELECT asked.id,
             COALESCE(NULLIF(users.privacy_revision, 0), ${REVISION_OF_BLOCKED}, 0),
             COALESCE(settings.visibility, 'everyone'),
             COALESCE(settings.last_seen_visibility, 'everyone'),
             ${HAS_BLOCKS}
        FROM unnest(ids) AS asked (id)
        LEFT JOIN users ON users.id = asked.id
        LEFT JOIN user_settings AS settings ON settings.user_id = asked.id;
    END $$
  `);
  await db.raw(`
    CREATE OR REPLACE FUNCTION remembered_users(ids text[])
      RETURNS TABLE (
        id text, known boolean, version bigint, last_seen timestamptz, status text, privacy_revision bigint,
        hidden boolean, remaining_ms bigint, detail jsonb, detail_remaining_ms bigint, erased_ago bigint
      )
      LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
    #variable_conflict use_column
    BEGIN
      RETURN QUERY
      SELECT asked.id, users.id IS NOT NULL, users.version, users.last_seen, users.status,
             CASE WHEN COALESCE(users.privacy_revision, 0) = 0 THEN COALESCE(${REVISION_OF_BLOCKED}, 0)
                  WHEN ${HAS_BLOCKS} OR EXISTS (
                    SELECT FROM user_settings
                     WHERE user_id = asked.id AND (visibility, last_seen_visibility) <> ('everyone', 'everyone')
                  ) THEN users.privacy_revision
                  ELSE 0 END,
             users.hidden AND (users.hidden_until IS NULL OR users.hidden_until > now()),
             ceil(extract(epoch FROM users.hidden_until - now()) * 1000)::bigint,
             users.detail,
             ceil(extract(epoch FROM users.detail_until - now()) * 1000)::bigint,
             CASE WHEN users.id IS NULL THEN (
               SELECT ceil(extract(epoch FROM clock_timestamp() - erased_at) * 1000)::bigint
                 FROM erasures WHERE id_hash = sha256(convert_to(asked.id, 'UTF8'))
             ) END
        FROM unnest(ids) AS asked (id) LEFT JOIN users ON users.id = asked.id;
    END $$
  `);
}

const BY_INDEX = 'SET plan_cache_mode = force_generic_plan SET enable_seqscan = off';
/**
 * The revision of somebody's privacy who has no row, or a row that is younger than a block of theirs: they were restricted by
 * whoever blocked them.
 */
const REVISION_OF_BLOCKED =
  '(SELECT floor(extract(epoch FROM max(created_at)) * 1000)::bigint FROM blocks WHERE blocked_id = asked.id)';
const HAS_BLOCKS = `(
  EXISTS (SELECT FROM blocks WHERE user_id = asked.id) OR EXISTS (SELECT FROM blocks WHERE blocked_id = asked.id)
)`;

export async function down(db: Knex): Promise<void> {
  for (const name of ['remembered_users', 'privacy_of']) await db.raw(`DROP FUNCTION ${name}(text[])`);
}
