import { z } from 'zod';
import { RollcallError } from '../errors.ts';
import { UserId, Version } from '../protocol/vocabulary.ts';
import type { Place } from '../redis/newest-first.ts';

/** Where a walk through the recently active stands, and since when somebody has to have been seen to be in it. */
export interface SeenCursor {
  oldest: number;
  after: Place;
}

const ms = z.int().nonnegative();
const Seen = z.tuple([z.literal('seen'), ms, ms, UserId]);
const List = z.tuple([z.literal('list'), UserId]);
const History = z.tuple([z.literal('history'), Version]);
const Audit = z.tuple([z.literal('audit'), ms, z.int().positive()]);

/** A cursor of the list of users seen lately, as text for the caller. */
export function writeSeenCursor({ oldest, after }: SeenCursor): string {
  return write(['seen', oldest, after.lastSeen, after.userId]);
}

/** Reads a cursor that `writeSeenCursor` gave out. Throws INVALID_REQUEST for anything else. */
export function readSeenCursor(cursor: string): SeenCursor {
  const [, oldest, lastSeen, userId] = read(Seen, cursor);
  return { oldest, after: { lastSeen, userId } };
}

/** A cursor of a list of users, as text for the caller: the last id on the page. */
export function writeListCursor(userId: string): string {
  return write(['list', userId]);
}

/** Reads a cursor that `writeListCursor` gave out, as an id. Throws INVALID_REQUEST for anything else. */
export function readListCursor(cursor: string): string {
  return read(List, cursor)[1];
}

/** A cursor of a history, as text for the caller: the version of the last transition on the page. */
export function writeHistoryCursor(version: number): string {
  return write(['history', version]);
}

/** Reads a cursor that `writeHistoryCursor` gave out, as a version. Throws INVALID_REQUEST for anything else. */
export function readHistoryCursor(cursor: string): number {
  return read(History, cursor)[1];
}

/** A cursor of the audit, as text for the caller: the last act on the page. */
export function writeAuditCursor({ at, id }: { at: number; id: number }): string {
  return write(['audit', at, id]);
}

/** Reads a cursor that `writeAuditCursor` gave out. Throws INVALID_REQUEST for anything else. */
export function readAuditCursor(cursor: string): { at: number; id: number } {
  const [, at, id] = read(Audit, cursor);
  return { at, id };
}

function write(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Throws INVALID_REQUEST for whatever was not written here. */
function read<T>(schema: z.ZodType<T>, cursor: string): T {
  const bytes = Buffer.from(cursor, 'base64url');
  try {
    // Whatever is no letter of the alphabet would be passed over.
    if (bytes.toString('base64url') === cursor) return schema.parse(JSON.parse(bytes.toString()));
  } catch {
    // No JSON, or not what stands in a cursor of this kind.
  }
  throw new RollcallError('INVALID_REQUEST', { message: 'cursor: not one of those that were given out here' });
}
