import type { Change } from '../../presence/change.ts';
import type { Access } from '../../presence/visibility.ts';
import type { StatusChange } from '../../protocol/socket.ts';
import { isoOrNull } from '../../usecases/payloads.ts';
import type { Accesses } from './accesses.ts';
import type { Viewer } from './types.ts';

/** What a viewer is told of a change; null: nothing. Equal wordings are one object, so that each is encoded once. */
export type Wording = (viewer: Viewer) => StatusChange | null;

/** How much later than a change a resync says it was, to those who may not know when it was. */
const RESYNC_BLUR_MS = 1000;

/** A change as watchers are told of it who may see everything. */
export function changeOf({ userId, status, lastSeen, version, detail }: Change): StatusChange {
  const told = { userId, status, lastSeen: isoOrNull(lastSeen), version };
  return detail === undefined ? told : { ...told, detail };
}

/**
 * The ids of those whom alone these changes may concern, by user: a block or a friend concerns the two of them, however
 * many look on. Users of whom one change may concern anybody are missing.
 */
export function onlyConcerned(changes: readonly Change[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [userId, ofUser] of Map.groupBy(changes, (change) => change.userId)) {
    const pairs = ofUser.map(concernedBy);
    if (pairs.every((pair) => pair !== null)) found.set(userId, new Set(pairs.flat()));
  }
  return found;
}

/** null: it may concern anybody. */
function concernedBy({ cause, before, restricted }: Change): string[] | null {
  if (!restricted || cause !== 'privacy' || before === undefined || before === 'unknown' || !before.onlyLists)
    return null;
  const { friends, blocks, overtaken } = before;
  return [...friends.added, ...friends.removed, ...blocks.added, ...blocks.removed, ...overtaken];
}

/** What each viewer is told of a change; null: everybody hears the same. */
export function wordingOf(change: Change, accesses: Accesses): Wording | null {
  if (!change.restricted) return null;
  const { userId, before } = change;
  const wordings = wordingsOf(changeOf(change));
  return (viewer) => {
    // Nobody knows what could be seen until now: everybody is told what is true for them.
    if (before === 'unknown') return wordings[accesses.of(userId, viewer.userId)];
    if (before && change.cause === 'erased') {
      // For half a minute nobody may see them, and it is known who could. After that all hear of it rather than not.
      const could = accesses.before(userId, viewer.userId, before) !== 'nothing';
      return could || accesses.of(userId, viewer.userId) !== 'nothing' ? wordings.nothing : null;
    }
    const access = accesses.of(userId, viewer.userId);
    if (!before) return access === 'nothing' ? null : wordings[access];
    // Only whoever sees more or less than until now hears of it, and nobody hears of what was none of their business.
    const saw = accesses.before(userId, viewer.userId, before);
    const isOvertaken = viewer.userId !== null && before.overtaken.includes(viewer.userId);
    return access !== saw || isOvertaken || (before.gathered && saw !== 'nothing') ? wordings[access] : null;
  };
}

/**
 * What each viewer is told when something may have been missed: perhaps the loss of sight too. When the user changed
 * last, which the version says, is not for those who may not know the last seen.
 */
export function wordingOfTruth(truth: StatusChange, accesses: Accesses, now: number): Wording {
  const wordings = wordingsOf(truth);
  const version = resyncVersion(truth.version, now);
  const blurred = {
    all: truth,
    status: { ...wordings.status, version },
    nothing: { ...wordings.nothing, version },
  };
  return (viewer) => blurred[accesses.of(truth.userId, viewer.userId)];
}

/** A version that says nothing of when a user changed last, and is older than whatever they do from now on. */
export function resyncVersion(version: number, now: number): number {
  return Math.max(version, now - RESYNC_BLUR_MS);
}

function wordingsOf(told: StatusChange): Record<Access, StatusChange> {
  const { userId, version, detail } = told;
  const gone = { userId, status: 'inactive' as const, lastSeen: null, version };
  return {
    all: told,
    status: { ...told, lastSeen: null },
    nothing: detail === undefined ? gone : { ...gone, detail: {} },
  };
}
