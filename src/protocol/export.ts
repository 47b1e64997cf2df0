import { z } from 'zod';
import { ACTS } from '../presence/acts.ts';
import { Transition } from './analytics.ts';
import { SessionView } from './http.ts';
import { Alert, Settings } from './social.ts';
import { Detail, Id, Status, Time, UserId } from './vocabulary.ts';

const since = Time;

/** The lists that an export of a user has, in their order. Of what there is one at most, the list has one entry or none. */
export const EXPORTED = {
  profile: z
    .object({
      displayName: z.string().nullable(),
      avatarUrl: z.string().nullable(),
      createdAt: Time,
      lastSeen: Time.nullable(),
    })
    .meta({ description: 'As PostgreSQL has it: of who is active the last seen may be some minutes old' }),
  presence: z.object({ status: Status, lastSeen: Time.nullable() }).meta({ description: 'Now, as the user sees it' }),
  sessions: SessionView,
  rooms: z
    .object({
      roomId: Id,
      since: Time,
      sessions: z.array(
        z.object({
          sessionId: Id,
          data: z
            .record(z.string(), z.unknown())
            .nullable()
            .meta({ description: 'What it said of the user there last' }),
        }),
      ),
    })
    .meta({ description: 'Where the user is now, whether others are told or not' }),
  appearingInactive: z.object({ until: Time.nullable().meta({ description: 'null: until further notice' }) }),
  details: Detail.extend({ source: z.string(), until: Time.nullable() }).meta({
    description: 'What is said, the strongest first',
  }),
  settings: Settings.meta({ description: 'None: as they are for everybody who never set any' }),
  friends: z.object({ userId: UserId, alert: Alert, since }),
  blocks: z.object({ userId: UserId, since }),
  conversations: z.object({ conversationId: Id, since }),
  pushSubscriptions: z.object({
    endpoint: z.string(),
    since,
    takenAt: Time.nullable().meta({ description: 'When it took a message last' }),
    failingSince: Time.nullable(),
  }),
  acts: z
    .object({ at: Time, act: z.enum(ACTS), detail: z.record(z.string(), z.string().nullable()).nullable() })
    .meta({ description: 'What services and operators did to the user' }),
  transitions: Transition,
} as const satisfies Record<string, z.ZodType>;
export type ExportedList = keyof typeof EXPORTED;

type Lists = { [Name in ExportedList]: z.ZodArray<(typeof EXPORTED)[Name]> };
const lists = Object.fromEntries(Object.entries(EXPORTED).map(([name, entry]) => [name, z.array(entry)])) as Lists;

/** All that is kept about a user. It is streamed, and may be long. */
export const UserExport = z.object({ userId: UserId, exportedAt: Time, ...lists }).meta({
  examples: [
    {
      userId: 'ada',
      exportedAt: '2026-01-31T12:00:00.000Z',
      profile: [
        {
          displayName: 'Ada Lovelace',
          avatarUrl: null,
          createdAt: '2025-12-10T09:30:00.000Z',
          lastSeen: '2026-01-31T11:58:00.000Z',
        },
      ],
      presence: [{ status: 'inactive', lastSeen: '2026-01-31T11:58:00.000Z' }],
      sessions: [],
      rooms: [],
      appearingInactive: [],
      details: [{ source: 'manual', text: 'on holiday', until: '2026-02-08T00:00:00.000Z' }],
      settings: [],
      friends: [{ userId: 'grace', alert: 'never', since: '2026-01-02T10:00:00.000Z' }],
      blocks: [],
      conversations: [{ conversationId: 'hall', since: '2026-01-02T10:00:00.000Z' }],
      pushSubscriptions: [],
      acts: [{ at: '2026-01-31T11:00:00.000Z', act: 'export', detail: null }],
      transitions: [
        {
          at: '2026-01-31T11:58:00.004Z',
          status: 'inactive',
          cause: 'disconnect',
          lastSeen: '2026-01-31T11:58:00.000Z',
          version: 1769860680004,
        },
      ],
    },
  ],
});
export type UserExport = z.infer<typeof UserExport>;
