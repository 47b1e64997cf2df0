import type { StatusReply } from './presence-types.ts';
import { parseDetail } from './record.ts';
import type { Reply } from './scripts.ts';

const ACCESSES = ['nothing', 'status', 'all', 'unknown', 'coarse'] as const;
/** How many values a script answers for a user (lib-status.lua), */
export const PER_STATUS = 5;
/** and the first of them where the user has to be settled before anything can be said. */
export const UNSETTLED = -3;

/** Milliseconds since 1970 of what a script answers: a number, digits or an ISO time; null for nothing. */
export function toMs(text: Reply | undefined): number | null {
  if (typeof text === 'number') return text;
  if (typeof text !== 'string' || text === '') return null;
  return text.includes('T') ? Date.parse(text) : Number(text);
}

/** Reads the statuses of users, in the order in which they were asked about, out of a script's answer from a position on. */
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
