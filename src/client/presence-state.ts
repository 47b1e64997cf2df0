import type { Detail, Presence } from './types.ts';

/** A user as the server tells it, in a snapshot or in an event. */
export interface Told {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
  lastSeenWithin?: Presence['lastSeenWithin'];
  version: number;
  detail?: ToldDetail | undefined;
}

/** What a user says of themselves, and whether they are idle. */
interface ToldDetail extends Detail {
  idle?: true | undefined;
  idleSince?: string | undefined;
}

/** A user as this client knows it. `presence` is replaced only when something a person could see has changed. */
export interface Known {
  readonly presence: Presence;
  readonly version: number;
  /** What was told last of the detail, which holds until something else is. */
  readonly said: ToldDetail;
  /** All that a person could see, to tell whether it has changed. */
  readonly text: string;
}

/**
 * What is known of a user after a snapshot, which is the truth of its moment: it replaces what was known, whatever the
 * versions. `said`: of the detail, where that is not what was told now.
 */
export function applySnapshot(known: Known | undefined, told: Told, said: ToldDetail = told.detail ?? {}): Known {
  const { userId, status, lastSeen, lastSeenWithin, version } = told;
  const { idle = false, idleSince = null, ...detail } = said;
  const seen = { userId, status, lastSeen, ...(lastSeenWithin && { lastSeenWithin }), detail, idle, idleSince };
  // Two stores name the fields of a detail in orders of their own.
  const text = JSON.stringify({ ...seen, detail: Object.entries(detail).sort() });
  return { presence: known?.text === text ? known.presence : seen, version, said, text };
}

/**
 * What is known of a user after an event, which counts only where it is newer. Without `detail` it leaves the detail as
 * it is.
 */
export function applyChange(known: Known | undefined, told: Told): Known {
  return known && told.version <= known.version ? known : applySnapshot(known, told, told.detail ?? known?.said);
}

/**
 * What is known, after a gap, of a user that a snapshot of all active users does not name: left meanwhile. When, we
 * cannot tell, so the last seen stays as far as it was known, and whatever comes next is newer.
 */
export function applyAbsence(known: Known): Known {
  return applySnapshot(known, { ...known.presence, status: 'inactive', version: 0 });
}

/** What is known of a user who was not answered for yet after a gap: it stays on show, but any answer is newer. */
export function awaitAnswer(known: Known): Known {
  return { ...known, version: -1 };
}
