import { type Cause, DETAIL_FIELDS, type Detail, type ShownDetail, type StoredSource } from '../presence/change.ts';
import { MANUAL } from '../presence/detail.ts';
import type { DeviceKind, Session, SessionState, Standing } from '../presence/session.ts';

/** What one source says; `until` in ms of Redis's clock, null: until further notice. */
export interface KnownSource {
  source: string;
  detail: Detail;
  until: number | null;
}

/** A user's record in Redis, as lua/lib-record.lua reads it. */
export interface UserRecord {
  version: number;
  announced: boolean;
  lastSeen: number | null;
  /** Appears inactive until then (ms); -1: until further notice; null: not chosen. */
  hiddenUntil: number | null;
  hiddenSince: number | null;
  /** Who says something beside the status, the strongest first; `until` ms, null: until further notice. */
  sources: KnownSource[];
  /** Since when no session has been active, where all are idle (ms); ahead: from then on, unless one is before. */
  idleSince: number | null;
  /** The user's choice is unknown, because PostgreSQL was away. */
  choiceUnknown: boolean;
  cause: Cause | null;
  causeSession: string | null;
  since: number | null;
  sessions: Session[];
}

const STANDINGS: Record<string, Standing> = { l: 'live', p: 'posted', e: 'lease', g: 'grace', h: 'handover' };

function parseSession(sessionId: string, value: string, lastBeat: string | undefined): Session {
  const [conn = '', standing = '', deadline = '', connectedAt = '', kind = '', state = '', ttl = '', ...name] =
    value.split('|');
  return {
    sessionId,
    conn,
    standing: STANDINGS[standing] ?? 'live',
    deadline: deadline === '' ? null : Number(deadline),
    connectedAt: Number(connectedAt),
    kind: kind as DeviceKind,
    state: (state === 'i' ? 'idle' : 'active') satisfies SessionState,
    ttlMs: ttl === '' ? null : Number(ttl),
    name: name.join('|'),
    lastBeat: Number(lastBeat ?? connectedAt),
  };
}

/** Reads the fields of `user:sessions:<id>`, in the flat form in which Redis gives a hash. */
export function parseRecord(flat: string[]): UserRecord {
  const fields = new Map<string, string>();
  for (let n = 0; n + 1 < flat.length; n += 2) fields.set(flat[n] ?? '', flat[n + 1] ?? '');
  const number = (name: string) => {
    const value = fields.get(name);
    return value === undefined ? null : Number(value);
  };
  const sessions: Session[] = [];
  for (const [name, value] of fields) {
    if (name.startsWith('s:')) {
      const sessionId = name.slice(2);
      sessions.push(parseSession(sessionId, value, fields.get(`b:${sessionId}`)));
    }
  }
  return {
    version: number('v') ?? 0,
    announced: fields.get('a') === '1',
    lastSeen: number('l'),
    hiddenUntil: number('h'),
    hiddenSince: number('g'),
    sources: sourcesIn(fields.get('u'), fields.get('d'), fields.get('x')),
    idleSince: number('is'),
    choiceUnknown: fields.get('p') === '1',
    cause: (fields.get('c') as Cause | undefined) ?? null,
    causeSession: fields.get('i') || null,
    since: number('w'),
    sessions,
  };
}

type PackedSource = [source: string, ends: number, detail: string];

/** The sources that a record names in its fields `u` (all), `d` (what is shown) and `x` (when that ends), the strongest first. */
export function sourcesIn(
  all: string | null | undefined,
  shown: string | null | undefined,
  ends: string | null | undefined,
): KnownSource[] {
  const packed: PackedSource[] = all ? JSON.parse(all) : shown ? [[MANUAL, Number(ends ?? -1), shown]] : [];
  return packed.map(([source, ends, detail]) => ({
    source,
    detail: JSON.parse(detail) as Detail,
    until: ends < 0 ? null : ends,
  }));
}

/** Sources, the strongest first, as scripts take them (lua/lib-stored.lua); 0 for how long: over. */
export function packSources(sources: readonly StoredSource[]): PackedSource[] {
  return sources.map(({ source, detail, remainingMs }) => [
    source,
    remainingMs === null ? -1 : Math.max(remainingMs, 0),
    detailText(detail),
  ]);
}

/** The one spelling of a detail, so that scripts can compare two; '' says nothing. */
export function detailText(detail: Detail): string {
  const json = JSON.stringify(detail, [...DETAIL_FIELDS]);
  return json === '{}' ? '' : json;
}

/** Reads a detail as `detailText` and the scripts write it; null where nothing is said. */
export function parseDetail(text: string | undefined): ShownDetail | null {
  return text ? (JSON.parse(text) as ShownDetail) : null;
}
