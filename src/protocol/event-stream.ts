import { z } from 'zod';
import { StatusChange } from './socket.ts';
import { LIMITS, UserId } from './vocabulary.ts';

const EXAMPLE = { userId: 'ada', status: 'active', lastSeen: '2026-01-31T12:00:00.000Z', version: 1769860800120 };

/** `GET /events`: whom to be told of, with commas between them, or `watch` more than once. */
export const EventsQuery = z.object({
  watch: z
    .preprocess(
      (given) =>
        given === undefined
          ? given
          : [given].flat().flatMap((one) => (typeof one === 'string' ? one.split(',') : [one])),
      z.array(UserId).min(1).max(LIMITS.idsInList),
    )
    .meta({ description: 'Ids of users: `watch` for each, or commas between them' }),
});
export type EventsQuery = z.infer<typeof EventsQuery>;

/** What comes first in a stream of events, unless it goes on where another ended. */
export const EventSnapshot = z
  .object({
    users: z.array(StatusChange),
    pending: z.array(UserId).optional().meta({ description: 'Cannot be known right now; they follow as events' }),
    reset: z
      .literal(true)
      .optional()
      .meta({ description: 'From `Last-Event-ID` there is no going on: this is everything anew' }),
  })
  .meta({ examples: [{ users: [EXAMPLE] }] });
export type EventSnapshot = z.infer<typeof EventSnapshot>;

/** The body of an answer that is a stream of events: lines of text, which an `EventSource` reads. */
export const EventStream = z
  .string()
  .regex(/^(event|id|retry)?:/)
  .meta({
    description:
      'Server-sent events. `snapshot`: `{ "users", "pending", "reset" }`; `user_status_change`: one user, as in it; `token_expiring`: `{ "expiresAt" }`; ' +
      '`session_closed`: `{ "reason", "reconnect", "afterMs" }`, with `retry`',
    examples: [
      `event: snapshot\nid: 42-1769860800120-0-0a1b2c3d4e5f\ndata: {"users":[${JSON.stringify(EXAMPLE)}]}\n\n`,
    ],
  });
