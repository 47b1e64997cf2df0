import { DETAIL_FIELDS } from '../presence/change.ts';
import type { Detail, Presence } from './types.ts';

/** A user as the server tells it, in a snapshot or in an event. */
export interface Told {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
  lastSeenWithin?: Presence['lastSeenWithin'];
  version: number;
  detail?: Detail | undefined;
}

/** A user as this client knows it. `presence` is replaced only when something a person could see has changed. */
export interface Known {
  readonly presence: Presence;
  readonly version: number;
}

const NO_DETAIL: Readonly<Detail> = Object.freeze({});

/**
 * What is known of a user after a snapshot, which is the truth of its moment: it replaces what was known, whatever the
 * versions.
 */
export function applySnapshot(known: Known | undefined, told: Told): Known {
  return keepIfSame(known, told, told.detail ?? NO_DETAIL);
}

/**
 * What is known of a user after an event, which counts only where it is newer. Without `detail` it leaves the detail as
 * it is.
 */
export function applyChange(known: Known | undefined, told: Told): Known {
  if (known && told.version <= known.version) return known;
  return keepIfSame(known, told, told.detail ?? known?.presence.detail ?? NO_DETAIL);
}

/**
 * What is known, after a gap, of a user that a snapshot of all active users does not name: left meanwhile. When, we
 * cannot tell, so the last seen stays as far as it was known, and whatever comes next is newer.
 */
export function applyAbsence(known: Known): Known {
  return keepIfSame(known, { ...known.presence, status: 'inactive', version: 0 }, known.presence.detail);
}

/** What is known of a user who was not answered for yet after a gap: it stays on show, but any answer is newer. */
export function awaitAnswer(known: Known): Known {
  return { presence: known.presence, version: -1 };
}

function keepIfSame(known: Known | undefined, told: Told, detail: Readonly<Detail>): Known {
  const { version, detail: _, ...seen } = told;
  const presence: Presence = { ...seen, detail };
  return { presence: known && isSame(known.presence, presence) ? known.presence : presence, version };
}

function isSame(a: Presence, b: Presence): boolean {
  return (
    a.status === b.status &&
    a.lastSeen === b.lastSeen &&
    a.lastSeenWithin === b.lastSeenWithin &&
    DETAIL_FIELDS.every((field) => a.detail[field] === b.detail[field])
  );
}
