import type { Glimpse } from './presence-types.ts';
import { parseDetail } from './record.ts';
import type { Reply } from './scripts.ts';

const SIGHTS = ['nothing', 'status', 'all', 'unknown'] as const;
/** How many values a script answers for a user (lib-glimpse.lua), */
export const PER_GLIMPSE = 5;
/** and the first of them where the user has to be settled before anything can be said. */
export const UNSETTLED = -3;

export function toMs(text: Reply | undefined): number | null {
  if (typeof text === 'number') return text;
  if (typeof text !== 'string' || text === '') return null;
  return text.includes('T') ? Date.parse(text) : Number(text);
}

/** What stands in a script's answer from a position on, in the order in which it was asked about. */
export function glimpsesIn(reply: readonly Reply[], from: number, userIds: readonly string[]): Glimpse[] {
  return userIds.map((userId, n) => {
    const at = from + n * PER_GLIMPSE;
    const [status, lastSeen, version, detail, sight] = reply.slice(at, at + PER_GLIMPSE);
    return {
      userId,
      status: status === 1 ? 'active' : 'inactive',
      lastSeen: toMs(lastSeen),
      version: version === '' ? null : Number(version),
      known: Number(status) >= 0,
      unseeded: status === -2,
      detail: parseDetail(String(detail)),
      sight: SIGHTS[(Number(sight) + 10) % 10] ?? 'nothing',
      restricted: Number(sight) < 0,
    };
  });
}
