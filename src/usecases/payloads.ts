import type { Detail, ShownDetail, StoredUser } from '../presence/change.ts';
import { strongest } from '../presence/detail.ts';
import { within } from '../presence/last-seen-within.ts';
import type { Why } from '../presence/status.ts';
import type { Access } from '../presence/visibility.ts';
import type { Why as WhyTold } from '../protocol/http.ts';
import type { WatchedUser } from '../protocol/socket.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import type { StatusReply } from '../redis/presence-types.ts';

/** The payloads of the protocol, made of what the stores know. */

/** Milliseconds since 1970 as the protocol writes a time. */
export const iso = (ms: number): string => new Date(ms).toISOString();
/** Milliseconds since 1970 as the protocol writes a time; null stays null. */
export const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

/**
 * A user as a watcher is told of somebody without a record in Redis: by what Redis still knows and what PostgreSQL
 * remembers.
 */
export function recalled(reply: StatusReply, stored: StoredUser | undefined): WatchedUser {
  const lastSeen = latest(reply.lastSeen, stored?.lastSeen ?? null);
  return versioned({ ...reply, lastSeen, detail: detailOf(stored) }, stored?.version ?? 0);
}

/** A user as a watcher is told of somebody with a record in Redis. */
export function versioned({ userId, status, lastSeen, detail }: StatusReply, version: number): WatchedUser {
  return { userId, status, lastSeen: isoOrNull(lastSeen), version, ...(detail === null ? {} : { detail }) };
}

/**
 * What is left of a user for a viewer with this access. Who may not see is shown what everybody is shown of somebody
 * who never came; and as a version says when a user last changed, who may not know that gets none. `now` in ms.
 */
export function visibleTo(access: Access, user: WatchedUser, now: number): WatchedUser {
  if (access === 'all') return user;
  if (access === 'coarse') return { ...coarsely(user, now), version: 0 };
  if (access === 'status') return withoutMoments({ ...user, version: 0 });
  return { userId: user.userId, status: 'inactive', lastSeen: null, version: 0 };
}

/** What is left of a user, or of a change, for who may not know exactly when they were last seen. */
export function withoutMoments<Told extends StatusPayload & { detail?: ShownDetail | undefined }>(user: Told): Told {
  const { idleSince, ...detail } = user.detail ?? {};
  return { ...user, lastSeen: null, ...(idleSince === undefined ? {} : { detail }) };
}

/** A user without the moment at which they were last seen: of who is not here, about how long ago that was at `now` (ms). */
export function coarsely<Told extends StatusPayload>(user: Told, now: number): Told {
  const { status, lastSeen } = user;
  const told = withoutMoments(user);
  if (status === 'active' || lastSeen === null) return told;
  return { ...told, lastSeenWithin: within(Date.parse(lastSeen), now) };
}

/** A user as REST tells of them: without version and detail. */
export function payloadOf({ userId, status, lastSeen, lastSeenWithin }: WatchedUser): StatusPayload {
  return { userId, status, lastSeen, ...(lastSeenWithin === undefined ? {} : { lastSeenWithin }) };
}

/** A reason as REST tells it, with its moments as times; `source`: of the detail that is shown. */
export function whyOf({ rule, sessionId, since, nextChangeAt }: Why, source: string | null): WhyTold {
  return { rule, sessionId, since: isoOrNull(since), nextChangeAt: isoOrNull(nextChangeAt), source };
}

/**
 * The detail that PostgreSQL has of a user, as others may know it; null where it is over, and while the user appears
 * inactive.
 */
function detailOf(stored: StoredUser | undefined): Detail | null {
  return stored && !stored.hidden ? (strongest(stored.sources)?.detail ?? null) : null;
}

function latest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}
