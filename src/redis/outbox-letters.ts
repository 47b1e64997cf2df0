import type { Cause, Change, Claims, Detail } from '../presence/change.ts';
import type { IndicatorKind } from './indicators.ts';
import type { OutboxEntry } from './outbox-entry.ts';
import { beforeOf, type PrivacyNoted } from './privacy.ts';
import type { Reply } from './scripts.ts';

/**
 * Reads an entry whose fields have letters for names, as 0.1 wrote them: whatever waits in an outbox when a worker of this version
 * begins. From 0.3 on nothing like it is there, and this file can go (with `u` in lua/lib-streams.lua).
 */
export function entryOfLetters(id: string, flat: readonly Reply[]): OutboxEntry {
  const fields = new Map<string, string>();
  for (let n = 0; n + 1 < flat.length; n += 2) fields.set(String(flat[n]), String(flat[n + 1]));
  const text = (name: string) => fields.get(name) ?? '';
  const userId = text('u');
  if (fields.has('i')) {
    const conversationId = text('i');
    if (fields.has('g')) return { id, kind: 'expelled', conversationId, userId };
    return {
      id,
      kind: 'indicator',
      conversationId,
      userId,
      doing: text('k') as IndicatorKind,
      active: text('s') === '1',
    };
  }
  if (fields.has('f')) return { id, kind: 'alert', askerId: userId, userId: text('f'), at: Number(text('a')) };
  if (fields.has('x')) {
    const reason = text('r') === 'logout' ? 'logout' : 'replaced';
    return { id, kind: 'close', userId, conns: text('x').split(' '), reason };
  }
  const claims = text('m') === '' ? null : (JSON.parse(text('m')) as Claims);
  const change: Change = {
    userId,
    status: text('s') === '1' ? 'active' : 'inactive',
    lastSeen: text('l') === '' ? null : Number(text('l')),
    version: Number(text('v')),
    at: Number(text('a')),
    cause: (fields.get('c') ?? 'logout') as Cause,
    ...(fields.has('d') ? { detail: JSON.parse(text('d')) as Detail } : {}),
    ...(fields.has('p') ? { awaySince: text('p') === '' ? null : Number(text('p')) } : {}),
    ...(fields.has('z') ? { restricted: true } : {}),
    ...(fields.has('b') ? { before: beforeOf(JSON.parse(text('b')) as PrivacyNoted) } : {}),
  };
  if (fields.has('n')) return { id, kind: 'note', userId, clearsHidden: text('n') === 'clear', change, claims };
  const falselyAway = text('y') === '' ? null : (text('y') as Cause);
  const lateMs = text('o') === '' ? null : Number(text('a')) - Number(text('o'));
  return { id, kind: 'change', change, claims, falselyAway, lateMs };
}
