import { z } from 'zod';
import type { DETAIL_FIELDS } from '../presence/change.ts';
import { AUDITED_PATTERN, ID_PATTERN } from '../presence/ids.ts';
import { WITHIN } from '../presence/last-seen-within.ts';
import { DEVICE_KINDS } from '../presence/session.ts';
import { request } from './requests.ts';

/** Every limit on what may come in. */
export const LIMITS = {
  bytes: 256 * 1024,
  /** Of an event that carries no list. */
  eventBytes: 16 * 1024,
  /** Of the body of `POST /users/status`. */
  statusBytes: 4 * 1024,
  idsInList: 1000,
  /** Of what somebody says of themselves in a room. */
  roomDataBytes: 1024,
  textCharacters: 100,
  emojiCharacters: 16,
  deviceNameCharacters: 64,
  /** Of sessions that say how long they live; sockets, and leases. */
  leastTtlSeconds: 3,
  socketTtlSeconds: 600,
  leaseTtlSeconds: 3600,
  leaseNameCharacters: 64,
  /** Ten years. */
  expirySeconds: 315_360_000,
} as const;

const ID_RULE = '1 to 128 characters out of A-Z a-z 0-9 . _ - @ | + : ~';
const USER_ID_REFUSED = `A user id has ${ID_RULE}`;

export const UserId = z
  .string({ error: USER_ID_REFUSED })
  .regex(ID_PATTERN, { error: USER_ID_REFUSED })
  .meta({ description: `The \`sub\` of the user's tokens: ${ID_RULE}`, examples: ['ada'] });

/** A user in the audit: by the id, or, once erased, by a keyed hash, which no id can be taken for. */
export const AuditedUser = z
  .string({ error: USER_ID_REFUSED })
  .regex(AUDITED_PATTERN, { error: USER_ID_REFUSED })
  .meta({ description: 'A user id; of who was erased a keyed hash, which begins with `#`', examples: ['ada'] });

/** Whether an issue is about a user id: these are refused with a code of their own. */
export function isUserIdIssue(issue: { message: string }): boolean {
  return issue.message === USER_ID_REFUSED;
}

/** Ids of devices, sessions and conversations: the same rule, another refusal. */
export const Id = z.string().regex(ID_PATTERN, { error: `An id has ${ID_RULE}` });

export const UserIdList = z.array(UserId).max(LIMITS.idsInList);

const CONTROL_OR_LINE_BREAK = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** A line that people read. Characters are counted as people and databases do, not in UTF-16 units. */
export function line(most: number) {
  return z
    .string()
    .max(most * 2, { error: `At most ${most} characters` })
    .refine((text) => Array.from(text).length <= most, { error: `At most ${most} characters` })
    .refine((text) => text.isWellFormed() && !CONTROL_OR_LINE_BREAK.test(text), {
      error: 'No control characters, line breaks or halves of a character',
    })
    .meta({ maxLength: most });
}

/** ISO 8601 in UTC with milliseconds. */
export const Time = z.iso.datetime({ precision: 3 }).meta({ examples: ['2026-01-31T12:00:00.000Z'] });

/** A moment that a caller names, with any offset. */
export const Moment = z.iso.datetime({ offset: true }).meta({ examples: ['2026-01-31T12:00:00.000Z'] });

export const Status = z.enum(['active', 'inactive']);
export const DeviceKind = z.enum(DEVICE_KINDS);
export const SessionState = z.enum(['active', 'idle']);
export const Availability = z.enum(['available', 'busy', 'away', 'dnd']);

/** How long something holds, fractions allowed. */
export const ExpirySeconds = z.number().positive().max(LIMITS.expirySeconds);

/** The fields of a detail, as they are shown and as they are set. */
export const DETAIL_SHAPE = {
  availability: Availability.optional(),
  text: line(LIMITS.textCharacters).optional(),
  emoji: line(LIMITS.emojiCharacters).optional(),
} satisfies Record<(typeof DETAIL_FIELDS)[number], z.ZodType>;

/** What a user lets others see beside the status. */
export const Detail = z.object(DETAIL_SHAPE);
export type Detail = z.infer<typeof Detail>;

/** A detail as others see it. */
export const ShownDetail = Detail.extend({
  idle: z.literal(true).optional().meta({ description: 'The user is here, and for a while has done nothing' }),
  idleSince: Time.optional().meta({
    description: 'Since when; for those who may know exactly when they were last seen',
  }),
});
export type ShownDetail = z.infer<typeof ShownDetail>;

/** How long ago a user was seen, for those who may know no more. */
export const LastSeenWithin = z.enum(WITHIN).meta({
  description:
    'Of an inactive user who lets others know the last seen coarsely: today or yesterday (UTC), in the 7 or the 30 days before today, or longer ago',
});

export const StatusPayload = z
  .object({
    userId: UserId,
    status: Status,
    lastSeen: Time.nullable().meta({ description: 'The latest sign of life that the viewer may know' }),
    lastSeenWithin: LastSeenWithin.optional(),
  })
  .meta({ examples: [{ userId: 'ada', status: 'inactive', lastSeen: '2026-01-31T12:00:00.000Z' }] });
export type StatusPayload = z.infer<typeof StatusPayload>;

/** Grows with every change of a user and never goes back; 0 for somebody the viewer knows nothing of. */
export const Version = z.int().nonnegative();

export const VersionedStatus = StatusPayload.extend({ version: Version });
export type VersionedStatus = z.infer<typeof VersionedStatus>;

/** The body of `POST /users/status` and the payload of `set_status`. */
export const SetStatusRequest = request({
  status: Status,
  userId: UserId.optional().meta({ description: 'Only with a service token, or the own id' }),
  expiresInSeconds: ExpirySeconds.optional().meta({
    description: 'How long to appear inactive; else until further notice',
  }),
}).meta({ examples: [{ status: 'inactive', expiresInSeconds: 3600 }, { status: 'active' }] });
export type SetStatusRequest = z.infer<typeof SetStatusRequest>;
