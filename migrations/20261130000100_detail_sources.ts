import type { Knex } from 'knex';
import { up as createQuestions } from './20261129000300_privacy_questions.ts';

/**
 * What others see beside the status, from several sources: the user, a call server, a calendar. Which of them is the strongest is
 * a setting, and no business of a table. `users.detail_revision` grows with every change of a user's sources, so that Redis
 * takes no older ones for newer.
 *
 * `users.detail` and its end are of the version before, which may still run; what it says until it stops comes here by a trigger.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw('ALTER TABLE users ADD COLUMN detail_revision bigint NOT NULL DEFAULT 0');
  await db.raw(`
    CREATE TABLE detail_sources (
      user_id text COLLATE "C" NOT NULL,
      source text NOT NULL,
      detail jsonb NOT NULL,
      until timestamptz,
      PRIMARY KEY (user_id, source)
    )
  `);
  await db.raw(`
    COMMENT ON COLUMN detail_sources.detail IS 'what this source says (the fields of the protocol), until then where that is set';
    COMMENT ON COLUMN users.detail_revision IS 'milliseconds, at least one more than before; 0: no source ever said anything'
  `);
  await db.raw('CREATE INDEX detail_sources_ending ON detail_sources (user_id) WHERE until IS NOT NULL');
  await db.raw('CREATE INDEX users_detail_revision ON users (detail_revision) WHERE detail_revision > 0');
  await db.raw(`
    INSERT INTO detail_sources (user_id, source, detail, until)
    SELECT id, 'manual', detail, detail_until FROM users WHERE detail IS NOT NULL
  `);
  await db.raw('UPDATE users SET detail_revision = 1 WHERE detail IS NOT NULL');
  await db.raw(`
    CREATE FUNCTION take_detail_of_old_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'UPDATE' AND NEW.detail_set_at IS NOT DISTINCT FROM OLD.detail_set_at THEN RETURN NEW; END IF;
      DELETE FROM detail_sources WHERE user_id = NEW.id AND source = 'manual';
      IF NEW.detail IS NOT NULL THEN
        INSERT INTO detail_sources (user_id, source, detail, until) VALUES (NEW.id, 'manual', NEW.detail, NEW.detail_until);
      END IF;
      NEW.detail_revision := NEW.detail_revision + 1;
      RETURN NEW;
    END $$
  `);
  await db.raw(`
    CREATE TRIGGER detail_of_old_version BEFORE INSERT OR UPDATE OF detail ON users
      FOR EACH ROW WHEN (NEW.detail_set_at IS NOT NULL) EXECUTE FUNCTION take_detail_of_old_version()
  `);
  await db.raw(SET_DETAIL_SOURCE);
  await createStoredUsers(db, `(visibility, last_seen_visibility) <> ('everyone', 'everyone')`);
  await db.raw('DROP FUNCTION remembered_users(text[])');
}

export async function down(db: Knex): Promise<void> {
  await createQuestions(db);
  await db.raw('DROP FUNCTION stored_users(text[])');
  await db.raw('DROP FUNCTION set_detail_source(text, text, jsonb, bigint, bigint, integer)');
  await db.raw('DROP TRIGGER detail_of_old_version ON users');
  await db.raw('DROP FUNCTION take_detail_of_old_version()');
  await db.raw(`
    UPDATE users SET detail = said.detail, detail_until = said.until
      FROM detail_sources AS said WHERE said.user_id = users.id AND said.source = 'manual'
  `);
  await db.raw('DROP TABLE detail_sources');
  await db.raw('DROP INDEX users_detail_revision');
  await db.raw('ALTER TABLE users DROP COLUMN detail_revision');
}

/**
 * One source says something, or (NULL) nothing any more, until then or for so long; what is over goes with it. A row for each
 * source that is left, and one without a source where there is none; no row at all where there would be more than `most`, or where
 * somebody who says nothing is not known. The row of the user is what the writers of one user wait for.
 */
const SET_DETAIL_SOURCE = `
  CREATE FUNCTION set_detail_source(
    person text, named text, said jsonb, until_ms bigint, lasts_ms bigint, most integer
  )
    RETURNS TABLE (revision bigint, ended boolean, source text, detail jsonb, until timestamptz, remaining_ms bigint)
    LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    risen bigint;
    at timestamptz;
    ends timestamptz;
    changes boolean;
    was_there boolean := false;
  BEGIN
    IF said IS NOT NULL THEN
      INSERT INTO users (id) VALUES (person) ON CONFLICT (id) DO NOTHING;
    END IF;
    PERFORM FROM users WHERE id = person FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    at := clock_timestamp();
    DELETE FROM detail_sources AS known WHERE known.user_id = person AND known.until <= at;
    changes := FOUND OR said IS NOT NULL;
    IF said IS NULL THEN
      DELETE FROM detail_sources AS known WHERE known.user_id = person AND known.source = named;
      was_there := FOUND;
      changes := changes OR was_there;
    ELSE
      ends := COALESCE(
        timestamptz 'epoch' + until_ms * interval '1 millisecond',
        date_trunc('milliseconds', at) + lasts_ms * interval '1 millisecond'
      );
      IF (SELECT count(*) FROM detail_sources AS known WHERE known.user_id = person AND known.source <> named) >= most THEN
        RETURN;
      END IF;
      INSERT INTO detail_sources AS known (user_id, source, detail, until) VALUES (person, named, said, ends)
      ON CONFLICT (user_id, source) DO UPDATE SET detail = excluded.detail, until = excluded.until;
    END IF;
    UPDATE users
       SET detail_revision = CASE WHEN changes THEN GREATEST(detail_revision + 1, floor(extract(epoch FROM at) * 1000)::bigint)
                                  ELSE detail_revision END
     WHERE id = person RETURNING detail_revision INTO risen;
    RETURN QUERY
    SELECT risen, was_there, known.source, known.detail, known.until, ceil(extract(epoch FROM known.until - at) * 1000)::bigint
      FROM (SELECT person AS id) AS asked LEFT JOIN detail_sources AS known ON known.user_id = asked.id;
  END $$
`;

const BY_INDEX = 'SET plan_cache_mode = force_generic_plan SET enable_seqscan = off';
/** The revision of somebody's privacy who has no row, or a row that is younger than a block of theirs. */
const REVISION_OF_BLOCKED =
  '(SELECT floor(extract(epoch FROM max(created_at)) * 1000)::bigint FROM blocks WHERE blocked_id = asked.id)';
const HAS_BLOCKS = `(
  EXISTS (SELECT FROM blocks WHERE user_id = asked.id) OR EXISTS (SELECT FROM blocks WHERE blocked_id = asked.id)
)`;

/**
 * What is asked for everybody who comes. Sources that are over are among them: others may not have been told. `restricts`: what in
 * `user_settings` keeps something from somebody.
 */
export async function createStoredUsers(db: Knex, restricts: string): Promise<void> {
  await db.raw(`
  CREATE OR REPLACE FUNCTION stored_users(ids text[])
    RETURNS TABLE (
      id text, known boolean, version bigint, last_seen timestamptz, status text, privacy_revision bigint,
      hidden boolean, remaining_ms bigint, detail_revision bigint, sources jsonb, erased_ago bigint
    )
    LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
  #variable_conflict use_column
  BEGIN
    RETURN QUERY
    SELECT asked.id, users.id IS NOT NULL, users.version, users.last_seen, users.status,
           CASE WHEN COALESCE(users.privacy_revision, 0) = 0 THEN COALESCE(${REVISION_OF_BLOCKED}, 0)
                WHEN ${HAS_BLOCKS} OR EXISTS (
                  SELECT FROM user_settings
                   WHERE user_id = asked.id AND ${restricts}
                ) THEN users.privacy_revision
                ELSE 0 END,
           users.hidden AND (users.hidden_until IS NULL OR users.hidden_until > now()),
           ceil(extract(epoch FROM users.hidden_until - now()) * 1000)::bigint,
           users.detail_revision,
           CASE WHEN users.detail_revision > 0 THEN (
             SELECT jsonb_agg(jsonb_build_object(
                      'source', source, 'detail', detail, 'remainingMs', ceil(extract(epoch FROM until - now()) * 1000)
                    ))
               FROM detail_sources WHERE user_id = asked.id
           ) END,
           CASE WHEN users.id IS NULL THEN (
             SELECT ceil(extract(epoch FROM clock_timestamp() - erased_at) * 1000)::bigint
               FROM erasures WHERE id_hash = sha256(convert_to(asked.id, 'UTF8'))
           ) END
      FROM unnest(ids) AS asked (id) LEFT JOIN users ON users.id = asked.id;
  END $$
`);
}
