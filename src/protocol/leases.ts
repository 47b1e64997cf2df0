import { z } from 'zod';
import { UserParams } from './http.ts';
import { request } from './requests.ts';
import { JoinRoomRequest } from './rooms.ts';
import { DeviceKind, Id, LIMITS, SessionState, Time, UserId } from './vocabulary.ts';

const Name = Id.max(LIMITS.leaseNameCharacters, {
  error: `The name of a lease has at most ${LIMITS.leaseNameCharacters} characters`,
});

export const LeaseParams = UserParams.extend({ name: Name });

/** What is left out stays what it was; at first `other` and `active`. */
export const LeaseBody = request({
  ttlSeconds: z
    .number()
    .min(LIMITS.leastTtlSeconds)
    .max(LIMITS.leaseTtlSeconds)
    .meta({ description: 'For how long it holds unless it is renewed' }),
  kind: DeviceKind.optional(),
  state: SessionState.optional(),
  rooms: z
    .array(JoinRoomRequest)
    .max(LIMITS.idsInList)
    .optional()
    .meta({ description: 'The rooms it is in from now on, and no others; at first none' }),
}).meta({ examples: [{ ttlSeconds: 60, kind: 'agent', state: 'active' }, { ttlSeconds: 60 }] });
export type LeaseBody = z.infer<typeof LeaseBody>;

export const LeaseAnswer = z
  .object({ sessionId: Id, expiresAt: Time.meta({ description: 'When it is over unless it is renewed' }) })
  .meta({ examples: [{ sessionId: 'l9cXb2Q0mT8kzXn5vJ2hLw', expiresAt: '2026-01-31T12:01:00.000Z' }] });
export type LeaseAnswer = z.infer<typeof LeaseAnswer>;

export const LeaseName = request({ userId: UserId, name: Name });
export type LeaseName = z.infer<typeof LeaseName>;

export const RenewBody = request({ leases: z.array(LeaseName).max(LIMITS.idsInList) }).meta({
  examples: [{ leases: [{ userId: 'ada', name: 'build-agent' }] }],
});
export type RenewBody = z.infer<typeof RenewBody>;

export const RenewAnswer = z
  .object({
    renewed: z.int().nonnegative(),
    missing: z.array(LeaseName).meta({ description: 'Those that are not there: a renewal makes none' }),
  })
  .meta({ examples: [{ renewed: 0, missing: [{ userId: 'ada', name: 'build-agent' }] }] });
export type RenewAnswer = z.infer<typeof RenewAnswer>;
