import { z } from 'zod';
import { ACTS } from '../presence/acts.ts';
import { pageCursor, pageLimit } from './analytics.ts';
import { AuditedUser, Moment, Time } from './vocabulary.ts';

/** The operator's name or a token's `sub`, as long as either may be. */
const LONGEST_ACTOR = 200;

export const AuditQuery = z
  .object({
    from: Moment.optional(),
    to: Moment.optional().meta({ description: 'Not itself part of the answer' }),
    actor: z.string().min(1).max(LONGEST_ACTOR).optional().meta({ description: 'By whom' }),
    subject: AuditedUser.optional().meta({ description: 'To whom it was done' }),
    limit: pageLimit,
    cursor: pageCursor,
  })
  .refine(({ from, to }) => from === undefined || to === undefined || Date.parse(from) < Date.parse(to), {
    error: 'must be before to',
    path: ['from'],
  });
export type AuditQuery = z.infer<typeof AuditQuery>;

/** What an operator or a service did to somebody. */
export const AuditEntry = z.object({
  at: Time,
  actor: z.string().meta({ description: 'The `sub` of a service’s token, or the operator’s name' }),
  act: z.enum(ACTS),
  subject: AuditedUser.nullable().meta({ description: 'null: nobody in particular' }),
  detail: z
    .record(z.string(), z.string().nullable())
    .nullable()
    .meta({ description: 'What else there is to say of it; null: nothing' }),
});

export const AuditAnswer = z
  .object({
    entries: z.array(AuditEntry),
    nextCursor: z.string().nullable().meta({ description: 'null: that was all' }),
  })
  .meta({
    examples: [
      {
        entries: [
          {
            at: '2026-01-31T12:00:00.000Z',
            actor: 'backend',
            act: 'session_removed',
            subject: 'ada',
            detail: { sessionId: 'd3fW0mT8kQzXn5vJ2hLbYc' },
          },
          {
            at: '2026-01-30T09:12:00.000Z',
            actor: 'backend',
            act: 'erase',
            subject: '#pK9dQm0vX2nJ7sYw4RbTz1Lc',
            detail: null,
          },
        ],
        nextCursor: null,
      },
    ],
  });
export type AuditAnswer = z.infer<typeof AuditAnswer>;
