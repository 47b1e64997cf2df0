import type { Change } from '../../presence/change.ts';
import type { Access } from '../../presence/visibility.ts';
import type { StatusChange } from '../../protocol/socket.ts';
import { coarsely, isoOrNull, withoutMoments } from '../../usecases/payloads.ts';
import type { Accesses } from './accesses.ts';
import type { BlurredVersions } from './blurred-versions.ts';
import type { Viewer } from './types.ts';

/** What a viewer is told of a change; null: nothing. Equal wordings are one object, so that each is encoded once. */
export type Wording = (viewer: Viewer) => StatusChange | null;

/** By what the last seen is told coarsely: the versions, and the time (ms). */
export interface Blur {
  blurred: BlurredVersions;
  now: number;
}

/** How much later than a change a resync says it was, to those who may not know when it was. */
const RESYNC_BLUR_MS = 1000;

/** What services and the user themselves are told of a change beside what others are: why it was made, and what is said of who is hidden. */
export function insiderWording({ cause, hiddenDetail }: Change, told: StatusChange): StatusChange {
  const said = hiddenDetail === undefined ? told : { ...told, detail: hiddenDetail };
  return cause === 'privacy' ? said : { ...said, cause };
}

/** Whether a viewer is told the causes of what happens to a user: to anybody else they would tell who only appears inactive. */
export function isInsider({ userId }: Viewer, ofUserId: string): boolean {
  return userId === null || userId === ofUserId;
}

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
export function wordingOf(change: Change, accesses: Accesses, { blurred, now }: Blur): Wording | null {
  if (!change.restricted) return null;
  const { userId, before } = change;
  const told = changeOf(change);
  const wordings = wordingsOf(told);
  const coarse = coarseWording(told, { blurred, now });
  const insider = insiderWording(change, told);
  const momentous = (viewer: Viewer, wording: StatusChange) => {
    blurred.noteMoment(viewer, userId);
    return wording;
  };
  const outsider: Wording = (viewer) => {
    // Nobody knows what could be seen until now: everybody is told what is true for them.
    if (before === 'unknown') {
      const sees = accesses.of(userId, viewer.userId);
      return sees === 'coarse'
        ? coarse(viewer, !blurred.isCounting(viewer, userId))
        : momentous(viewer, wordings[sees]);
    }
    if (before && change.cause === 'erased') {
      // For half a minute nobody may see them, and it is known who could. After that all hear of it rather than not.
      const could = accesses.before(userId, viewer.userId, before) !== 'nothing';
      const hears = could || accesses.of(userId, viewer.userId) !== 'nothing';
      return hears ? momentous(viewer, wordings.nothing) : null;
    }
    const access = accesses.of(userId, viewer.userId);
    if (!before) {
      if (access === 'nothing') return null;
      return access === 'coarse' ? coarse(viewer, false) : momentous(viewer, wordings[access]);
    }
    // Only whoever sees more or less than until now hears of it, and nobody hears of what was none of their business.
    const saw = accesses.before(userId, viewer.userId, before);
    const isOvertaken = viewer.userId !== null && before.overtaken.includes(viewer.userId);
    const hears = access !== saw || isOvertaken || (before.gathered && saw !== 'nothing');
    if (!hears) return null;
    return access === 'coarse' ? coarse(viewer, saw !== 'coarse') : momentous(viewer, wordings[access]);
  };
  return (viewer) => {
    const wording = outsider(viewer);
    return wording !== null && isInsider(viewer, userId) ? insider : wording;
  };
}

/**
 * What each viewer is told when something may have been missed: perhaps the loss of sight too. When the user changed
 * last, which the version says, is not for those who may not know the last seen. `insider`: what the user and services are told;
 * `readAt`: when its reading began (ms).
 */
export function wordingOfTruth(
  truth: StatusChange,
  insider: StatusChange,
  accesses: Accesses,
  { blurred, now, readAt }: Blur & { readAt: number },
): Wording {
  const wordings = wordingsOf(truth);
  const version = resyncVersion(truth.version, readAt);
  const coarse = coarseWording({ ...truth, version }, { blurred, now });
  const others = {
    all: truth,
    status: { ...wordings.status, version },
    nothing: { ...wordings.nothing, version },
  };
  return (viewer) => {
    if (isInsider(viewer, truth.userId)) return insider;
    const access = accesses.of(truth.userId, viewer.userId);
    if (access === 'coarse') return coarse(viewer, !blurred.isCounting(viewer, truth.userId));
    blurred.noteMoment(viewer, truth.userId);
    return others[access];
  };
}

/** A version that says nothing of when a user changed last, and is older than whatever they do from `readAt` (ms) on, when it was read. */
export function resyncVersion(version: number, readAt: number): number {
  return Math.max(version, readAt - RESYNC_BLUR_MS);
}

/**
 * What those are told who may know the last seen coarsely: with a version of the count, or, where what they saw until now was another
 * (`isAnew`), with that of the telling, from which their count goes on.
 */
function coarseWording(told: StatusChange, { blurred, now }: Blur) {
  const said = coarsely(told, now);
  const byVersion = new Map<number, StatusChange>();
  let count = 0;
  return (viewer: Viewer, isAnew: boolean): StatusChange => {
    count ||= blurred.next();
    if (isAnew) blurred.goOnFrom(viewer, told.userId, told.version, count);
    else blurred.noteCounting(viewer, told.userId);
    const version = blurred.of(viewer, told.userId, count);
    let change = byVersion.get(version);
    if (change === undefined) {
      change = { ...said, version };
      byVersion.set(version, change);
    }
    return change;
  };
}

function wordingsOf(told: StatusChange): Record<Exclude<Access, 'coarse'>, StatusChange> {
  const { userId, version, detail } = told;
  const gone = { userId, status: 'inactive' as const, lastSeen: null, version };
  return {
    all: told,
    status: withoutMoments(told),
    nothing: detail === undefined ? gone : { ...gone, detail: {} },
  };
}
