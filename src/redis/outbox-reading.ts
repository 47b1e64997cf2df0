import type { Cause, Change, Claims, Detail, ShownDetail } from '../presence/change.ts';
import type { IndicatorKind } from './indicators.ts';
import type { ENTRY_FIELDS, OutboxEntry } from './outbox-entry.ts';
import { entryOfLetters } from './outbox-letters.ts';
import { beforeOf, type PrivacyNoted } from './privacy.ts';
import { happeningOf, toldOf } from './room-reading.ts';
import type { Reply } from './scripts.ts';

/** What few changes have, and so stands in one field. */
interface More {
  at?: number;
  claims?: Claims;
  detail?: ShownDetail;
  hiddenDetail?: Detail;
  before?: PrivacyNoted;
  falselyAway?: Cause;
}

/** An entry of a kind that a later version made: what is not understood must not be acknowledged. */
export class UnknownEntry extends Error {
  constructor(kind: string) {
    super(
      `An entry of the outbox is of the kind "${kind}", which this version does not know: it waits for a worker of a later one.`,
    );
    this.name = 'UnknownEntry';
  }
}

/** Reads an entry as XREADGROUP gives it; null where it is none. Throws UnknownEntry where it is of a kind that is not known. */
export function parseEntry(raw: Reply | undefined): OutboxEntry | null {
  if (!Array.isArray(raw)) return null;
  const [id, flat] = raw;
  if (typeof id !== 'string') return null;
  if (!Array.isArray(flat)) return { id, kind: 'dropped' };
  const entry = fieldOf(flat, 'kind') === undefined ? entryOfLetters(id, flat) : entryOf(id, flat);
  const trace = fieldOf(flat, 'trace') ?? fieldOf(flat, 't');
  return trace === undefined ? entry : { ...entry, trace };
}

/** Sought among so few it is cheaper than a map of them. */
function fieldOf(flat: readonly Reply[], name: string): string | undefined {
  for (let n = 0; n + 1 < flat.length; n += 2) if (flat[n] === name) return String(flat[n + 1]);
  return undefined;
}

function entryOf(id: string, flat: readonly Reply[]): OutboxEntry {
  const text = (name: string) => fieldOf(flat, name) ?? '';
  const kind = text('kind');
  switch (kind as keyof typeof ENTRY_FIELDS) {
    case 'change':
    case 'restricted':
      return changeOf(id, flat);
    case 'note': {
      const { change, claims } = changeOf(id, flat);
      return { id, kind: 'note', userId: change.userId, clearsHidden: text('cause') === 'logout', change, claims };
    }
    case 'close': {
      const reason = text('reason') === 'logout' ? 'logout' : 'replaced';
      return { id, kind: 'close', userId: text('user'), conns: text('conns').split(' '), reason };
    }
    case 'typing':
    case 'recording_audio': {
      const whose = { conversationId: text('conversation'), userId: text('user') };
      return { id, kind: 'indicator', ...whose, doing: kind as IndicatorKind, active: text('active') === '1' };
    }
    case 'expelled':
      return { id, kind: 'expelled', conversationId: text('conversation'), userId: text('user') };
    case 'alert':
      return { id, kind: 'alert', askerId: text('asker'), userId: text('user'), at: Number(text('at')) };
    case 'rooms':
      return { id, kind: 'rooms', ...toldOf(text('user'), text('sequence'), text('rooms')) };
    case 'room': {
      const sequence = text('sequence');
      return { id, kind: 'room', sequence: sequence === '' ? null : Number(sequence), ...happeningOf(text) };
    }
    case 'put_out': {
      const conns = text('conns').split(' ');
      return { id, kind: 'put_out', roomId: text('room'), userId: text('user'), conns, at: Number(text('at')) };
    }
    default:
      throw new UnknownEntry(kind);
  }
}

function changeOf(id: string, flat: readonly Reply[]): OutboxEntry & { kind: 'change' } {
  const text = (name: string) => fieldOf(flat, name) ?? '';
  const active = text('active') === '1';
  const since = text('since');
  const version = Number(text('version'));
  const json = text('more');
  const more: More = json === '' ? {} : JSON.parse(json);
  const at = more.at ?? version;
  const change: Change = {
    userId: text('user'),
    status: active ? 'active' : 'inactive',
    lastSeen: text('lastSeen') === '' ? null : Number(text('lastSeen')),
    version,
    at,
    cause: (text('cause') || 'logout') as Cause,
    ...(more.detail ? { detail: more.detail } : {}),
    ...(more.hiddenDetail ? { hiddenDetail: more.hiddenDetail } : {}),
    ...(active && since !== '' ? { awaySince: since === 'never' ? null : Number(since) } : {}),
    ...(text('kind') === 'restricted' ? { restricted: true } : {}),
    ...(more.before ? { before: beforeOf(more.before) } : {}),
  };
  const lateMs = active || since === '' ? null : at - Number(since);
  return { id, kind: 'change', change, claims: more.claims ?? null, falselyAway: more.falselyAway ?? null, lateMs };
}
