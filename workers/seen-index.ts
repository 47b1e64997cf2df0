import { lastSeenPage } from '../src/postgres/analytics.ts';
import type { Stores } from '../src/stores.ts';

const PAGE = 2000;
/** Other maintenance waits for this; what is left goes on in the next run. */
const RUN_LIMIT_MS = 10_000;
/** What the webs need to notice that Redis came back empty, and to tell it of their sessions. */
export const RESTORE_MS = 3000;
const KEPT_MS = 30 * 24 * 3_600_000;
/** Nobody is dropped while a question may still be about them. */
const KEPT_LONGER_MS = 3_600_000;

/**
 * A Redis that came up empty hears of who was seen before from PostgreSQL: page by page, in as many runs as it takes.
 * Until that is done nobody is told how many were active.
 */
export async function completeSeen({ seen, db }: Stores) {
  const { now, epoch, since, complete } = await seen.state();
  if (complete || epoch === '') return { added: 0 };
  if (now < since + RESTORE_MS) return { added: 0, nextInMs: since + RESTORE_MS - now };
  const until = performance.now() + RUN_LIMIT_MS;
  let added = 0;
  let after = await seen.completedUpTo(epoch);
  while (performance.now() < until) {
    const page = await lastSeenPage(db, after, PAGE);
    const last = page.at(-1);
    if (!last) {
      await seen.markComplete(epoch);
      return { added, complete: true };
    }
    const recent = page.flatMap(({ userId, lastSeen }) =>
      lastSeen !== null && lastSeen > now - KEPT_MS - KEPT_LONGER_MS ? [{ userId, lastSeen }] : [],
    );
    await seen.add(recent);
    added += recent.length;
    after = last.userId;
    await seen.noteCompletedUpTo(epoch, after);
  }
  return { added, upTo: after };
}

/** Drops those who were not seen for 30 days. */
export async function pruneSeen({ seen }: Stores) {
  const { now } = await seen.state();
  return { dropped: await seen.prune(now - KEPT_MS - KEPT_LONGER_MS) };
}
