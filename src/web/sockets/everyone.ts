import type { StatusPayload } from '../../protocol/vocabulary.ts';
import { nothingSeen, type Snapshot, type StatusReads } from '../../usecases/status-reads.ts';

/** So many times as many as may be shown are looked at, for who may not be seen takes nobody's place; in a small deployment all. */
const LOOKED_AT_TIMES = 10;
const LOOKED_AT_LEAST = 1000;
/** In one snapshot: fewer cost as much, and for as long as more take Redis does nothing else. */
const LEAST_AT_ONCE = 100;
const MOST_AT_ONCE = 1000;
/** Remembered as told active; a deployment that has more should use watchers. */
const MOST_TOLD = 100_000;

/**
 * Remembers whom an audience of everyone takes for active: of these it has to be told where something may have been
 * missed.
 */
export class ToldActive {
  readonly userIds = new Set<string>();

  /** Notes what the audience was told of a user. */
  note({ userId, status }: Pick<StatusPayload, 'userId' | 'status'>): void {
    if (status === 'inactive') this.userIds.delete(userId);
    else if (this.userIds.size < MOST_TOLD) this.userIds.add(userId);
  }
}

/** How many users are looked at, at most, to find `limit` who can be shown. */
export function lookedAt(limit: number): number {
  return Math.max(LOOKED_AT_LEAST, LOOKED_AT_TIMES * limit);
}

/** Each of those in `pages` once, at most so many, page by page. */
export async function* eachOnce(pages: AsyncIterable<string[]>, limit: number): AsyncGenerator<string[]> {
  const known = new Set<string>();
  for await (const page of pages) {
    const news = [...new Set(page)].filter((userId) => !known.has(userId)).slice(0, limit - known.size);
    for (const userId of news) known.add(userId);
    if (news.length > 0) yield news;
    if (known.size >= limit) return;
  }
}

/**
 * A snapshot of at most `limit` users out of `pages` who are active and whom the viewer may see (null: one who sees
 * everybody): those whom it may not see neither take a place nor leave one empty. `covered` are all who were looked at: of
 * whoever came only when the pages had been read it says nothing. Throws UNAVAILABLE.
 */
export async function snapshotOfActive(
  reads: Pick<StatusReads, 'snapshot'>,
  pages: AsyncIterable<string[]>,
  viewerId: string | null,
  limit: number,
): Promise<{ snapshot: Snapshot; covered: Set<string> }> {
  const all = nothingSeen();
  const covered = new Set<string>();
  const atOnce = Math.min(Math.max(limit, LEAST_AT_ONCE), MOST_AT_ONCE);
  for await (const page of eachOnce(pages, lookedAt(limit))) {
    for (let n = 0; n < page.length && all.users.length < limit; n += atOnce) {
      const some = page.slice(n, n + atOnce);
      for (const userId of some) covered.add(userId);
      add(all, await reads.snapshot(some, viewerId));
    }
    if (all.users.length >= limit) break;
  }
  all.users.length = Math.min(all.users.length, limit);
  return { snapshot: all, covered };
}

function add(all: Snapshot, { users, pending, positions, restricted, unsure }: Snapshot): void {
  all.users.push(...users.filter((user) => user.status === 'active'));
  all.pending.push(...pending);
  for (const userId of restricted) all.restricted.add(userId);
  for (const userId of unsure) all.unsure.add(userId);
  // All of them are read at this position or a later one: what came in between is told once more.
  for (const [shard, position] of positions) if (!all.positions.has(shard)) all.positions.set(shard, position);
}
