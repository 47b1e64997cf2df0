import type { Detail, Memory } from '../presence/change.ts';
import type { Why } from '../presence/status.ts';
import type { Sight } from '../presence/visibility.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import type { Glimpse } from '../redis/presence-types.ts';
import type { Look } from './presence-api.ts';

/** How what the stores know goes out of the doors. */

export const iso = (ms: number): string => new Date(ms).toISOString();
export const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

/** What Redis knows, and where it has no record what PostgreSQL remembers. */
export function recalled(glimpse: Glimpse, memory: Memory | undefined): WatchedUser {
  const lastSeen = latest(glimpse.lastSeen, memory?.lastSeen ?? null);
  return versioned({ ...glimpse, lastSeen, detail: detailOf(memory) }, memory?.version ?? 0);
}

export function versioned({ userId, status, lastSeen, detail }: Glimpse, version: number): WatchedUser {
  return { userId, status, lastSeen: isoOrNull(lastSeen), version, ...(detail === null ? {} : { detail }) };
}

/**
 * What is left for a viewer with this sight. Who may not see is shown what everybody is shown of somebody who never came;
 * and as a version says when a user last changed, who may not know that gets none.
 */
export function visibleTo(sight: Sight, user: WatchedUser): WatchedUser {
  if (sight === 'all') return user;
  if (sight === 'status') return { ...user, lastSeen: null, version: 0 };
  return { userId: user.userId, status: 'inactive', lastSeen: null, version: 0 };
}

export function payloadOf({ userId, status, lastSeen }: WatchedUser): StatusPayload {
  return { userId, status, lastSeen };
}

export function whyOf({ rule, sessionId, since, nextChangeAt }: Why): Look['why'] {
  return { rule, sessionId, since: isoOrNull(since), nextChangeAt: isoOrNull(nextChangeAt) };
}

/** Nothing where it is over, and nothing while the user appears inactive. */
export function detailOf(memory: Memory | undefined): Detail | null {
  if (!memory?.detail || memory.hidden) return null;
  const { shown, remainingMs } = memory.detail;
  return remainingMs === null || remainingMs > 0 ? shown : null;
}

function latest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}
