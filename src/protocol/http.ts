import { z } from 'zod';
import { Detail, DeviceKind, Id, LIMITS, SessionState, StatusPayload, Time, UserId } from './vocabulary.ts';

export const ErrorBody = z
  .object({ statusCode: z.int(), code: z.string(), error: z.string(), message: z.string() })
  .meta({
    examples: [
      { statusCode: 404, code: 'USER_NOT_FOUND', error: 'Not Found', message: 'Nobody with this id is known.' },
    ],
  });
export type ErrorBody = z.infer<typeof ErrorBody>;

export const UserParams = z.object({ id: UserId });
export const MemberParams = z.object({ id: Id, userId: UserId });
export const SessionParams = UserParams.extend({ sessionId: Id });

const EXTRAS = ['devices', 'detail', 'why'] as const;
export type Extra = (typeof EXTRAS)[number];

/** `devices,detail,why` in any order. As one string, for that is what stands in the address. */
export const StatusQuery = z.object({
  include: z
    .string()
    .regex(/^(devices|detail|why)(,(devices|detail|why))*$/, { error: `A list out of ${EXTRAS.join(', ')}` })
    .optional()
    .meta({ description: 'Adds these keys; `why` for the user itself and services', examples: ['devices,detail'] }),
});
export type StatusQuery = z.infer<typeof StatusQuery>;

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
});
export type Why = z.infer<typeof Why>;

export const StatusAnswer = StatusPayload.extend({
  devices: z.array(Device).optional().meta({ description: 'The best first: the user is idle where the first one is' }),
  detail: Detail.optional(),
  why: Why.optional(),
});
export type StatusAnswer = z.infer<typeof StatusAnswer>;

export const StatusesRequest = z.object({ userIds: z.array(UserId).min(1).max(LIMITS.idsInList) });
export type StatusesRequest = z.infer<typeof StatusesRequest>;

export const StatusesAnswer = z.object({ users: z.array(StatusPayload) });
export type StatusesAnswer = z.infer<typeof StatusesAnswer>;

/** A body may be left out: then every session ends. */
export const LogoutBody = z
  .object({
    sessionId: Id.optional(),
    userId: UserId.optional().meta({ description: 'Only with a service token, or the own id' }),
  })
  .nullish();
export type LogoutBody = z.infer<typeof LogoutBody>;

export const SessionView = z.object({
  sessionId: Id,
  device: z.object({ kind: DeviceKind, name: z.string().nullable() }),
  connectedAt: Time,
  lastHeartbeat: Time,
  state: SessionState,
});
export type SessionView = z.infer<typeof SessionView>;

export const SessionsAnswer = z.object({ sessions: z.array(SessionView) });
export type SessionsAnswer = z.infer<typeof SessionsAnswer>;

export const AliveAnswer = z.object({ status: z.literal('ok') });

export const ReadyAnswer = z.object({
  ready: z.boolean(),
  redis: z.boolean(),
  postgres: z.boolean(),
  queue: z.boolean(),
  draining: z.boolean(),
  level: z.int().nonnegative().meta({ description: 'How much is being shed under load; 0: nothing' }),
});
export type ReadyAnswer = z.infer<typeof ReadyAnswer>;

export const NoContent = z.undefined().meta({ description: 'Done' });
