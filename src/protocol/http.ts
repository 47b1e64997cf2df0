import { z } from 'zod';
import { request } from './requests.ts';
import {
  DeviceKind,
  Id,
  LIMITS,
  SessionState,
  ShownDetail,
  StatusPayload,
  Time,
  UserId,
  Version,
} from './vocabulary.ts';

export const ErrorBody = z.object({ statusCode: z.int(), code: z.string(), error: z.string(), message: z.string() });
export type ErrorBody = z.infer<typeof ErrorBody>;

export const UserParams = z.object({ id: UserId });
export const MemberParams = z.object({ id: Id, userId: UserId });
export const SessionParams = UserParams.extend({ sessionId: Id });

const EXTRAS = ['devices', 'detail', 'version', 'why'] as const;
export type Extra = (typeof EXTRAS)[number];

/** `devices,detail,version,why` in any order. As one string, for that is what stands in the address. */
export const StatusQuery = z.object({
  include: z
    .string()
    .regex(new RegExp(`^(${EXTRAS.join('|')})(,(${EXTRAS.join('|')}))*$`), {
      error: `A list out of ${EXTRAS.join(', ')}`,
    })
    .optional()
    .meta({ description: 'Adds these keys; `why` for the user itself and services', examples: ['devices,detail'] }),
});
export type StatusQuery = z.infer<typeof StatusQuery>;

/** What the query `include` adds to a status. */
export function extrasOf({ include }: StatusQuery): Set<Extra> {
  const asked = new Set(include?.split(','));
  return new Set(EXTRAS.filter((extra) => asked.has(extra)));
}

export const Device = z.object({ kind: DeviceKind, state: SessionState });

/** Why the status is what it is. */
export const Why = z.object({
  rule: z.enum(['heartbeat', 'manual', 'timeout', 'disconnect', 'logout', 'handover']),
  sessionId: Id.nullable(),
  since: Time.nullable(),
  nextChangeAt: Time.nullable(),
  source: z.string().nullable().meta({
    description:
      'The strongest source of the detail, also while appearing inactive hides it; null: nobody says anything',
  }),
});
export type Why = z.infer<typeof Why>;

export const StatusAnswer = StatusPayload.extend({
  devices: z.array(Device).optional().meta({ description: 'The best first: the user is idle where the first one is' }),
  detail: ShownDetail.optional(),
  version: Version.optional(),
  why: Why.optional(),
}).meta({
  examples: [
    { userId: 'ada', status: 'active', lastSeen: '2026-01-31T12:00:00.000Z' },
    {
      userId: 'ada',
      status: 'active',
      lastSeen: '2026-01-31T12:00:00.000Z',
      devices: [
        { kind: 'mobile', state: 'active' },
        { kind: 'web', state: 'idle' },
      ],
      detail: { availability: 'busy', text: 'In a meeting' },
      why: {
        rule: 'heartbeat',
        sessionId: 'd3fW0mT8kQzXn5vJ2hLbYc',
        since: '2026-01-31T12:00:00.000Z',
        nextChangeAt: '2026-01-31T12:01:00.000Z',
        source: 'calendar',
      },
    },
  ],
});
export type StatusAnswer = z.infer<typeof StatusAnswer>;

export const StatusesRequest = request({ userIds: z.array(UserId).min(1).max(LIMITS.idsInList) }).meta({
  examples: [{ userIds: ['ada', 'grace'] }],
});
export type StatusesRequest = z.infer<typeof StatusesRequest>;

export const StatusesAnswer = z.object({ users: z.array(StatusAnswer) }).meta({
  examples: [
    {
      users: [
        { userId: 'ada', status: 'active', lastSeen: '2026-01-31T12:00:00.000Z' },
        { userId: 'grace', status: 'inactive', lastSeen: null },
      ],
    },
  ],
});
export type StatusesAnswer = z.infer<typeof StatusesAnswer>;

/** A body may be left out: then every session ends. */
export const LogoutBody = request({
  sessionId: Id.optional(),
  userId: UserId.optional().meta({ description: 'Only with a service token, or the own id' }),
})
  .nullish()
  .meta({ examples: [{ sessionId: 'd3fW0mT8kQzXn5vJ2hLbYc' }, {}] });
export type LogoutBody = z.infer<typeof LogoutBody>;

export const SessionView = z.object({
  sessionId: Id,
  device: z.object({ kind: DeviceKind, name: z.string().nullable() }),
  connectedAt: Time,
  lastHeartbeat: Time,
  state: SessionState,
});
export type SessionView = z.infer<typeof SessionView>;

export const SessionsAnswer = z.object({ sessions: z.array(SessionView) }).meta({
  examples: [
    {
      sessions: [
        {
          sessionId: 'd3fW0mT8kQzXn5vJ2hLbYc',
          device: { kind: 'mobile', name: 'Ada’s phone' },
          connectedAt: '2026-01-31T11:20:00.000Z',
          lastHeartbeat: '2026-01-31T12:00:00.000Z',
          state: 'active',
        },
      ],
    },
  ],
});
export type SessionsAnswer = z.infer<typeof SessionsAnswer>;

export const AliveAnswer = z.object({ status: z.literal('ok') }).meta({ examples: [{ status: 'ok' }] });

export const ReadyAnswer = z
  .object({
    ready: z.boolean(),
    redis: z.boolean(),
    postgres: z.boolean(),
    queue: z.boolean(),
    draining: z.boolean(),
    level: z.int().nonnegative().meta({ description: 'How much is being shed under load; 0: nothing' }),
    reasons: z
      .object({ redis: z.string().optional(), postgres: z.string().optional(), queue: z.string().optional() })
      .meta({ description: 'A sentence for each of the three that is false: what is the matter and what to do' }),
  })
  .meta({
    examples: [{ ready: true, redis: true, postgres: true, queue: true, draining: false, level: 0, reasons: {} }],
  });
export type ReadyAnswer = z.infer<typeof ReadyAnswer>;

/** What `GET /readyz` answers beside a 503. */
export const NotReadyAnswer = ReadyAnswer.meta({
  examples: [
    {
      ready: false,
      redis: false,
      postgres: true,
      queue: false,
      draining: false,
      level: 0,
      reasons: {
        redis: 'Redis is not answering: does it run, and does REDIS_URL name it?',
        queue: 'Redis is not answering: does it run, and does REDIS_URL name it?',
      },
    },
  ],
});

export const NoContent = z.undefined().meta({ description: 'Done' });
