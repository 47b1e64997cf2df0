import type { Knex } from 'knex';

/** Midnight (UTC) of the day after tomorrow: the workers have a day at least to make the partition that follows. */
const BOUNDARY = `date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '48 hours'`;

/**
 * The history becomes a table partitioned by time, so that a stretch that nobody keeps any more goes whole. No row is
 * copied: the table of before becomes the partition up to the boundary. What it takes is one index with the time in it,
 * since the key of a partitioned table has to hold that (`status_transitions_key`: where it is there already, made
 * beforehand without stopping anybody, it is taken as it is), and a look at each row.
 *
 * A trigger takes the place of the foreign key, which would lock `users` against all writes whenever a partition comes or
 * goes. All of it or nothing happens, in Knex's transaction; whoever writes or reads history waits meanwhile. `users` is
 * locked last, for a moment.
 */
export async function up(db: Knex): Promise<void> {
  // Whoever uses the table for longer (a backup) is not to have all others wait behind this.
  await db.raw(`SET LOCAL lock_timeout = '10s'`);
  await db.raw('LOCK TABLE status_transitions IN ACCESS EXCLUSIVE MODE');
  const { rows } = await db.raw(
    `SELECT FROM pg_index WHERE indexrelid = to_regclass('status_transitions_key') AND NOT indisvalid`,
  );
  if (rows.length > 0) await db.raw('DROP INDEX status_transitions_key');
  await db.raw('CREATE UNIQUE INDEX IF NOT EXISTS status_transitions_key ON status_transitions (user_id, version, at)');
  await db.raw(`
    ALTER TABLE status_transitions
      DROP CONSTRAINT status_transitions_pkey,
      ADD CONSTRAINT status_transitions_before_pkey PRIMARY KEY USING INDEX status_transitions_key
  `);
  await db.raw('ALTER INDEX status_transitions_at RENAME TO status_transitions_before_at');
  await db.raw('ALTER TABLE status_transitions RENAME TO status_transitions_before');

  await db.raw(`
    CREATE TABLE status_transitions (LIKE status_transitions_before INCLUDING CONSTRAINTS) PARTITION BY RANGE (at)
  `);
  await db.raw('ALTER TABLE status_transitions ADD PRIMARY KEY (user_id, version, at)');
  await db.raw('CREATE INDEX status_transitions_at ON status_transitions (at)');
  await grantAlike(db, 'status_transitions_before', 'status_transitions');
  // For times that no partition is made for: nothing that was announced is refused.
  await db.raw('CREATE TABLE status_transitions_default PARTITION OF status_transitions DEFAULT');
  await db.raw(`
    WITH ahead AS (DELETE FROM status_transitions_before WHERE at >= ${BOUNDARY} RETURNING *)
    INSERT INTO status_transitions_default SELECT * FROM ahead
  `);
  await db.raw(`
    ALTER TABLE status_transitions
      ATTACH PARTITION status_transitions_before FOR VALUES FROM (MINVALUE) TO (${BOUNDARY})
  `);

  await db.raw('ALTER TABLE status_transitions_before DROP CONSTRAINT status_transitions_user_id_fkey');
  // It may be there: a backup from before this step brings back its tables, and takes away no function.
  await db.raw(`
    CREATE OR REPLACE FUNCTION forget_transitions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      DELETE FROM status_transitions WHERE user_id = OLD.id;
      RETURN NULL;
    END $$
  `);
  await db.raw(`
    CREATE TRIGGER users_forget_transitions AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget_transitions()
  `);
  await db.raw('SET LOCAL lock_timeout = DEFAULT');
}

/** Back into one table, row by row. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`SET LOCAL lock_timeout = '10s'`);
  await db.raw('LOCK TABLE status_transitions IN ACCESS EXCLUSIVE MODE');
  await db.raw('DROP TRIGGER users_forget_transitions ON users');
  await db.raw('DROP FUNCTION forget_transitions');
  await db.raw('CREATE TABLE status_transitions_whole (LIKE status_transitions INCLUDING CONSTRAINTS)');
  await db.raw(`
    INSERT INTO status_transitions_whole
    SELECT DISTINCT ON (user_id, version) * FROM status_transitions ORDER BY user_id, version, at
  `);
  await grantAlike(db, 'status_transitions', 'status_transitions_whole');
  await db.raw('DROP TABLE status_transitions');
  await db.raw('ALTER TABLE status_transitions_whole RENAME TO status_transitions');
  await db.raw(`
    ALTER TABLE status_transitions
      ADD PRIMARY KEY (user_id, version),
      ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
  `);
  await db.raw('CREATE INDEX status_transitions_at ON status_transitions (at)');
  await db.raw('SET LOCAL lock_timeout = DEFAULT');
}

/** Whoever was allowed something on the one table is allowed it on the other. */
async function grantAlike(db: Knex, from: string, to: string): Promise<void> {
  await db.raw(`
    DO $$ DECLARE
      command text;
    BEGIN
      FOR command IN
        SELECT format('GRANT %s ON ${to} TO %s', privilege_type,
                      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
          FROM pg_class CROSS JOIN aclexplode(relacl)
         WHERE pg_class.oid = '${from}'::regclass AND grantee <> relowner
      LOOP
        EXECUTE command;
      END LOOP;
    END $$
  `);
}
