import type { Knex } from 'knex';
import { query } from './connect.ts';

/** What is left for a worker to do in PostgreSQL. */
export interface Waiting {
  /** Changes that have no position in the change feed yet. */
  arriving: boolean;
  /** Erasures that the change feed has told of for long enough. */
  erasures: boolean;
  /** Changes of privacy, and removals from conversations, that Redis has to hear of. */
  privacy: boolean;
  removals: boolean;
}

/** From when on (ms) each of it counts. */
export interface WaitingAges {
  untoldMs: number;
  toldMs: number;
  erasureMs: number;
}

/**
 * Whether anything waits, in one question for all of it: where nothing goes on, asking for each by itself cost a deployment a tenth of
 * all that it did. Rejects with pg's errors.
 */
export async function whatWaits(db: Knex, { untoldMs, toldMs, erasureMs }: WaitingAges): Promise<Waiting> {
  const [row] = await query<Waiting>(
    db,
    `SELECT EXISTS (SELECT FROM changes_arriving) AS arriving,
            EXISTS (SELECT FROM changes WHERE cause = 'erased' AND at < now() - ages.erasure) AS erasures,
            EXISTS (SELECT FROM privacy_changes
                     WHERE applied_at <= now() - ages.told OR (applied_at IS NULL AND made_at <= now() - ages.untold)) AS privacy,
            EXISTS (SELECT FROM membership_changes
                     WHERE applied_at <= now() - ages.told OR (applied_at IS NULL AND made_at <= now() - ages.untold)) AS removals
       FROM (SELECT ?::bigint * interval '1 millisecond' AS untold, ?::bigint * interval '1 millisecond' AS told,
                    ?::bigint * interval '1 millisecond' AS erasure) AS ages`,
    [untoldMs, toldMs, erasureMs],
  );
  if (!row) throw new Error('PostgreSQL did not say what waits');
  return row;
}
