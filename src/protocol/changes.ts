import { z } from 'zod';
import { CAUSES, type Change, NO_TRANSITION } from '../presence/change.ts';
import { Id, Status, Time, UserId, Version } from './vocabulary.ts';

const EXAMPLE = {
  userId: 'ada',
  status: 'inactive',
  lastSeen: '2026-01-31T12:00:00.000Z',
  version: 1769860800120,
  at: '2026-01-31T12:00:00.120Z',
  cause: 'disconnect',
};
const EXAMPLE_CURSOR = writeFeedCursor({ feed: '8f3a01bc', position: 1217 });

/** One step of one user, as the backend is told of it. */
export const FeedChange = z
  .object({
    userId: UserId,
    status: Status,
    lastSeen: Time.nullable(),
    version: Version.meta({
      description: 'Grows with every change of a user: drop what is not newer than what you have',
    }),
    at: Time.meta({ description: 'When the status changed' }),
    cause: z.enum(CAUSES).exclude(NO_TRANSITION).meta({
      description: '`erased`: the user was deleted; forget them, too',
    }),
  })
  .meta({ examples: [EXAMPLE] });
export type FeedChange = z.infer<typeof FeedChange>;

const EXAMPLE_OF_ROOM = { type: 'room_occupied', roomId: 'doc:42', at: '2026-01-31T12:00:00.120Z' };

/** A room that somebody is in again, or that nobody has been in for three seconds. */
export const FeedRoomChange = z
  .object({
    type: z.enum(['room_occupied', 'room_vacated']).meta({ description: 'What tells it from a change of a user' }),
    roomId: Id,
    at: Time.meta({ description: 'When it became so; vacated is a room once it was empty for three seconds' }),
  })
  .meta({ examples: [EXAMPLE_OF_ROOM] });
export type FeedRoomChange = z.infer<typeof FeedRoomChange>;

type Told =
  | Pick<Change, 'userId' | 'status' | 'lastSeen' | 'version' | 'at' | 'cause'>
  | { roomId: string; occupied: boolean; at: number };

/** A transition, or what has become of a room, as the feed tells it. */
export function feedChange(change: Told): FeedChange | FeedRoomChange {
  const iso = (ms: number) => new Date(ms).toISOString();
  if ('roomId' in change) {
    const { roomId, occupied } = change;
    return { type: occupied ? 'room_occupied' : 'room_vacated', roomId, at: iso(change.at) };
  }
  const { userId, status, lastSeen, version, at, cause } = change;
  // The feed is filled from the history, which takes in transitions alone.
  const told = cause as FeedChange['cause'];
  return { userId, status, lastSeen: lastSeen === null ? null : iso(lastSeen), version, at: iso(at), cause: told };
}

/** A place in a feed (its name and a position), as text that says nothing. */
export function writeFeedCursor({ feed, position }: { feed: string; position: number }): string {
  return Buffer.from(`changes ${feed} ${position}`).toString('base64url');
}

/** Reads a cursor that `writeFeedCursor` gave out; null for anything else. */
export function readFeedCursor(cursor: string): { feed: string; position: number } | null {
  const bytes = Buffer.from(cursor, 'base64url');
  const [, feed, position] = /^changes ([0-9a-f]{8}) (0|[1-9]\d{0,14})$/.exec(bytes.toString()) ?? [];
  // Whatever is no letter of the alphabet would have been passed over.
  if (feed === undefined || position === undefined || bytes.toString('base64url') !== cursor) return null;
  return { feed, position: Number(position) };
}

export const ChangesQuery = z.object({
  after: z.string().min(1).max(1024).optional().meta({
    description: 'The `nextCursor` of the answer before; without it, the answer is empty and its cursor is of now',
  }),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  wait: z.coerce
    .number()
    .min(0)
    .max(60)
    .default(0)
    .meta({ description: 'Seconds for which an answer may be put off while there is nothing to tell' }),
});
export type ChangesQuery = z.infer<typeof ChangesQuery>;

const AnswerShape = z.object({
  changes: z.array(z.union([FeedRoomChange, FeedChange])).meta({
    description: 'Oldest first; of one user, in the order of versions. Of rooms too, where `ROOMS_TOLD` says so',
  }),
  nextCursor: z.string().meta({ description: 'For `after` in the next question; says nothing to anybody else' }),
});
export const ChangesAnswer = AnswerShape.meta({
  examples: [{ changes: [EXAMPLE], nextCursor: EXAMPLE_CURSOR }],
});
export type ChangesAnswer = z.infer<typeof ChangesAnswer>;

/** The body of a webhook. */
export const WebhookDelivery = AnswerShape.extend({
  id: z
    .string()
    .meta({ description: 'The same whenever the same changes are sent again; also in `Rollcall-Delivery`' }),
  reset: z
    .literal(true)
    .optional()
    .meta({ description: 'What came before is not known here any more: take a fresh snapshot, then answer' }),
}).meta({
  examples: [
    { id: '8f3a01bc-1216-1217', changes: [EXAMPLE], nextCursor: EXAMPLE_CURSOR },
    { id: '8f3a01bc-reset-1217', changes: [], nextCursor: EXAMPLE_CURSOR, reset: true },
  ],
});
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;
