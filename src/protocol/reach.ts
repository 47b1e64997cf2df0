import { z } from 'zod';
import { request } from './requests.ts';
import { Id, LIMITS, Time, UserId } from './vocabulary.ts';

/** How recently somebody has to have been heard of to be attended, unless the request says otherwise. */
export const ATTENDED_WITHIN_SECONDS = 120;

/** The body of `POST /reach`. */
export const ReachRequest = request({
  userIds: z.array(UserId).min(1).max(LIMITS.idsInList),
  urgent: z.boolean().optional().meta({ description: 'Also those who want to be left alone (`dnd`)' }),
  withinSeconds: z
    .int()
    .min(1)
    .max(3600)
    .optional()
    .meta({
      description: `How recently a device has to have been heard of; else ${ATTENDED_WITHIN_SECONDS}`,
    }),
  roomId: Id.optional().meta({
    description: 'Only devices that are in this room count: who looks at it needs no push',
  }),
}).meta({ examples: [{ userIds: ['ada', 'grace'], withinSeconds: 120 }] });
export type ReachRequest = z.infer<typeof ReachRequest>;

const DECISION =
  '`in_app`: somebody sits at a device and sees it there; `push`: ring the phone; `hold`: not now, the user wants to be left alone';
const REASON = 'Why: the first of these that fits, but that `in_room` stands for `attended` where a room was named';

/** How one user is reached. */
export const Reached = z.object({
  userId: UserId,
  decision: z.enum(['in_app', 'push', 'hold']).meta({ description: DECISION }),
  reason: z.enum(['unknown', 'dnd', 'attended', 'in_room', 'unattended']).meta({ description: REASON }),
  lastActive: Time.nullable().meta({ description: 'The last seen that services are told' }),
});
export type Reached = z.infer<typeof Reached>;

export const ReachAnswer = z.object({ users: z.array(Reached) }).meta({
  examples: [
    {
      users: [
        { userId: 'ada', decision: 'in_app', reason: 'attended', lastActive: '2026-01-31T12:00:00.000Z' },
        { userId: 'grace', decision: 'hold', reason: 'dnd', lastActive: '2026-01-31T09:12:44.120Z' },
      ],
    },
  ],
});
export type ReachAnswer = z.infer<typeof ReachAnswer>;
