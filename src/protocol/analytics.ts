import { z } from 'zod';
import { CAUSES } from '../presence/change.ts';
import { Moment, Status, Time, UserId, Version } from './vocabulary.ts';

/** Everything that a question about many, or about the past, may ask for at most. */
export const MOST = {
  /** 30 days. */
  minutes: 43_200,
  windows: 20,
  page: 1000,
  /** A day. */
  stepSeconds: 86_400,
  points: 10_000,
  days: 365,
} as const;

const whole = (max: number) => z.coerce.number().int().min(1).max(max);

const WINDOWS_REFUSED = `At most ${MOST.windows} whole numbers from 1 to ${MOST.minutes}, by commas`;

/** `1,5,15,60`. As one string, for that is what stands in the address. */
export const ActiveQuery = z.object({
  within: z
    .string()
    .regex(/^\d{1,5}(,\d{1,5})*$/, { error: WINDOWS_REFUSED })
    .refine((text) => windowsOf(text).length <= MOST.windows, { error: WINDOWS_REFUSED })
    .refine((text) => windowsOf(text).every((minutes) => minutes >= 1 && minutes <= MOST.minutes), {
      error: WINDOWS_REFUSED,
    })
    .default('1,5,15,60')
    .meta({ description: 'Minutes, by commas', examples: ['1,5,15,60'] }),
});

/** Numbers of minutes, as the query `within` names them between commas. */
export function windowsOf(within: string): number[] {
  return within.split(',').map(Number);
}

const users = z.int().nonnegative();

export const ActiveAnswer = z
  .object({
    at: Time,
    activeNow: users.meta({ description: 'Whose status is active' }),
    within: z
      .array(z.object({ minutes: z.int().positive(), users }))
      .meta({ description: 'Who was last seen so many minutes ago or less, in the order asked' }),
  })
  .meta({
    examples: [{ at: '2026-01-31T12:00:00.000Z', activeNow: 81, within: [{ minutes: 15, users: 214 }] }],
  });
export type ActiveAnswer = z.infer<typeof ActiveAnswer>;

/** How long a page may be. */
export const pageLimit = whole(MOST.page).default(100);
/** Where a page begins. */
export const pageCursor = z
  .string()
  .min(1)
  .max(1024)
  .optional()
  .meta({ description: 'The `nextCursor` of the page before; it says nothing to anybody else' });
const nextCursor = z.string().nullable().meta({ description: 'null: that was all' });

export const ActiveUsersQuery = z.object({
  within: whole(MOST.minutes)
    .default(15)
    .meta({ description: 'Minutes. With a cursor, the window of the first page goes on' }),
  limit: pageLimit,
  cursor: pageCursor,
});
export type ActiveUsersQuery = z.infer<typeof ActiveUsersQuery>;

export const ActiveUser = z.object({ userId: UserId, lastSeen: Time });

export const ActiveUsersAnswer = z.object({ users: z.array(ActiveUser), nextCursor }).meta({
  examples: [{ users: [{ userId: 'ada', lastSeen: '2026-01-31T11:59:58.120Z' }], nextCursor: 'WyJzZWVuIiwxNV0' }],
});
export type ActiveUsersAnswer = z.infer<typeof ActiveUsersAnswer>;

export const TimelineQuery = z.object({
  from: Moment.optional().meta({ description: 'By default an hour before `to`' }),
  to: Moment.optional().meta({ description: 'By default now; it is not itself part of the answer' }),
  step: z.coerce
    .number()
    .int()
    .min(60)
    .max(MOST.stepSeconds)
    .multipleOf(60)
    .default(60)
    .meta({ description: 'Seconds, whole minutes' }),
});
export type TimelineQuery = z.infer<typeof TimelineQuery>;

export const TimelinePoint = z.object({
  at: Time.meta({ description: 'When the step begins; steps are counted from 1970' }),
  active: users.nullable().meta({ description: 'The most at once; null: nobody counted' }),
  transitions: users.meta({ description: 'How many became active or inactive' }),
});

export const TimelineAnswer = z
  .object({ points: z.array(TimelinePoint) })
  .meta({ examples: [{ points: [{ at: '2026-01-31T12:00:00.000Z', active: 212, transitions: 1904 }] }] });
export type TimelineAnswer = z.infer<typeof TimelineAnswer>;

export const HistoryQuery = z.object({
  from: Moment.optional(),
  to: Moment.optional().meta({ description: 'Not itself part of the answer' }),
  limit: pageLimit,
  cursor: pageCursor,
});
export type HistoryQuery = z.infer<typeof HistoryQuery>;

export const Transition = z.object({
  at: Time,
  status: Status,
  cause: z.enum(CAUSES),
  lastSeen: Time.nullable(),
  version: Version,
});

export const HistoryAnswer = z.object({ transitions: z.array(Transition), nextCursor }).meta({
  examples: [
    {
      transitions: [
        {
          at: '2026-01-31T12:00:00.120Z',
          status: 'inactive',
          cause: 'disconnect',
          lastSeen: '2026-01-31T12:00:00.000Z',
          version: 1769860800120,
        },
      ],
      nextCursor: null,
    },
  ],
});
export type HistoryAnswer = z.infer<typeof HistoryAnswer>;

export const ActivityQuery = z.object({
  days: whole(MOST.days).default(30).meta({ description: 'How many days in UTC, today included' }),
});

export const ActiveDay = z.object({ date: z.iso.date(), activeSeconds: z.int().nonnegative() });

export const ActivityAnswer = z
  .object({ days: z.array(ActiveDay) })
  .meta({ examples: [{ days: [{ date: '2026-01-31', activeSeconds: 5400 }] }] });
export type ActivityAnswer = z.infer<typeof ActivityAnswer>;
