import type { Knex } from 'knex';

/**
 * For dropping what is older than the retention. A B-tree and no BRIN: rows that are dropped leave room for new ones in
 * the same pages, so that soon every range of pages holds both old and new, and a BRIN would have to look at all of them.
 * New rows go to the end of the tree, which is the cheap case.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw('CREATE INDEX status_transitions_at ON status_transitions (at)');
}

export async function down(db: Knex): Promise<void> {
  await db.raw('DROP INDEX status_transitions_at');
}
