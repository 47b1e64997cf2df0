import type { StatusReply } from './presence-types.ts';
import { parseDetail } from './record.ts';
import type { Reply } from './scripts.ts';

const ACCESSES = ['nothing', 'status', 'all', 'unknown'] as const;
/** How many values a script answers for a user (lib-status.lua), */
export const PER_STATUS = 5;
/** and the first of them where the user has to be settled before anything can be said. */
export const UNSETTLED = -3;

export function toMs(text: Reply | undefined): number | null {
  if (typeof text === 'number') return text;
  if (typeof text !== 'string' || text === '') return null;
  return text.includes('T') ? Date.parse(text) : Number(text);
}

/** What stands in a script's answer from a position on, in the order in which it was asked about. */
export function statusesIn(reply: readonly Reply[], from: number, userIds: readonly string[]): StatusReply[] {
  return userIds.map((userId, n) => {
    const at = from + n * PER_STATUS;
    const [status, lastSeen, version, detail, access] = reply.slice(at, at + PER_STATUS);
    return {
      userId,
      status: status === 1 ? 'active' : 'inactive',
      lastSeen: toMs(lastSeen),
      version: version === '' ? null : Number(version),
      known: Number(status) >= 0,
      choiceUnknown: status === -2,
      detail: parseDetail(String(detail)),
      access: ACCESSES[(Number(access) + 10) % 10] ?? 'nothing',
      restricted: Number(access) < 0,
    };
  });
}
