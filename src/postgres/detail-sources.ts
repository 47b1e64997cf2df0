import type { Knex } from 'knex';
import type { Detail, StoredSource } from '../presence/change.ts';
import { MAX_DETAIL_SOURCES, strongestFirst } from '../presence/detail.ts';
import { query } from './connect.ts';
import { msOf } from './time.ts';

/** What one source says, and until when (ms since 1970; null: until further notice). */
export interface DatedSource extends StoredSource {
  until: number | null;
}

/** All sources of a user, the strongest first, and the revision of them: the greater is the newer. */
export interface DetailSources {
  revision: number;
  sources: DatedSource[];
}

/** Until when a source says something: a moment (ms since 1970), or for so long; neither: until further notice. */
export interface SourceEnd {
  untilMs?: number | undefined;
  lastsMs?: number | undefined;
}

interface SourceRow {
  revision: string;
  /** Whether the source that says nothing any more said something. */
  ended?: boolean;
  source: string | null;
  detail: Detail;
  until: Date | null;
  remaining_ms: string | null;
}

/**
 * A source of a user says something from now on, in the place of what it said before; the user becomes known. The end runs on
 * PostgreSQL's clock. Returns all that is in force; null, and nothing is done, where there would be too many.
 */
export async function saveDetailSource(
  db: Knex,
  userId: string,
  { source, detail }: { source: string; detail: Detail },
  { untilMs, lastsMs }: SourceEnd,
  order: readonly string[],
): Promise<DetailSources | null> {
  const bindings = [userId, source, JSON.stringify(detail), untilMs ?? null, lastsMs ?? null, MAX_DETAIL_SOURCES];
  return sourcesIn(
    await query<SourceRow>(db, 'SELECT * FROM set_detail_source(?, ?, ?::jsonb, ?::bigint, ?::bigint, ?)', bindings),
    order,
  );
}

/**
 * A source says nothing any more. Returns all that is in force still, and whether it said something until now; null where nobody knows
 * the user.
 */
export async function endDetailSource(
  db: Knex,
  userId: string,
  source: string,
  order: readonly string[],
): Promise<(DetailSources & { ended: boolean }) | null> {
  const bindings = [userId, source, MAX_DETAIL_SOURCES];
  const rows = await query<SourceRow>(db, 'SELECT * FROM set_detail_source(?, ?, NULL, NULL, NULL, ?)', bindings);
  const left = sourcesIn(rows, order);
  return left && { ...left, ended: rows[0]?.ended ?? false };
}

/** All sources of these users that are in force, by user, and their revision; who is not known is missing. */
export async function detailSourcesOf(
  db: Knex,
  userIds: readonly string[],
  order: readonly string[],
): Promise<Map<string, DetailSources>> {
  const rows = await query<SourceRow & { id: string }>(
    db,
    `SELECT users.id, users.detail_revision AS revision, source, said.detail, until,
            ceil(extract(epoch FROM until - now()) * 1000)::bigint AS remaining_ms
       FROM users
       LEFT JOIN detail_sources AS said ON said.user_id = users.id AND (until IS NULL OR until > now())
      WHERE users.id = ANY(?::text[])`,
    [[...userIds]],
  );
  const found = new Map<string, DetailSources>();
  for (const [userId, ofUser] of Map.groupBy(rows, ({ id }) => id)) {
    const sources = sourcesIn(ofUser, order);
    if (sources) found.set(userId, sources);
  }
  return found;
}

function sourcesIn(rows: readonly SourceRow[], order: readonly string[]): DetailSources | null {
  const [first] = rows;
  if (!first) return null;
  const sources = rows.flatMap(({ source, detail, until, remaining_ms }) => {
    if (source === null) return [];
    return [{ source, detail, until: msOf(until), remainingMs: remaining_ms === null ? null : Number(remaining_ms) }];
  });
  return { revision: Number(first.revision), sources: strongestFirst(sources, order) };
}

/** Drops what sources of these users said that is over, as far as nobody else is at it. */
export async function dropEndedSources(db: Knex, userIds: readonly string[]): Promise<void> {
  if (userIds.length === 0) return;
  await query(
    db,
    `WITH ended AS (
       SELECT user_id, source FROM detail_sources
        WHERE user_id = ANY(?::text[]) AND until <= now() FOR UPDATE SKIP LOCKED
     )
     DELETE FROM detail_sources AS said USING ended WHERE said.user_id = ended.user_id AND said.source = ended.source`,
    [[...userIds]],
  );
}

/**
 * The ids of users of whom a source ends by itself (or did, which nobody recorded yet), at most `limit` in their order,
 * behind `afterId` ('' begins).
 */
export async function withEndingDetail(db: Knex, afterId: string, limit: number): Promise<string[]> {
  const rows = await query<{ id: string }>(
    db,
    `SELECT DISTINCT user_id AS id FROM detail_sources WHERE until IS NOT NULL AND user_id > ? ORDER BY user_id LIMIT ?`,
    [afterId, limit],
  );
  return rows.map((row) => row.id);
}
