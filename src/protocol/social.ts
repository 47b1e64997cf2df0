import { z } from 'zod';
import { PRECISIONS, VISIBILITIES } from '../presence/visibility.ts';
import { UserParams } from './http.ts';
import { request } from './requests.ts';
import { line, StatusPayload, Time, UserId } from './vocabulary.ts';

/** What a user shows of themselves, who their friends are and who may see them. */

export const FriendParams = UserParams.extend({ friendId: UserId });
export const BlockParams = UserParams.extend({ blockedId: UserId });

const NOT_ONESELF = { error: 'Nobody can do this with themselves' };
export const NewFriendParams = FriendParams.refine(({ id, friendId }) => id !== friendId, {
  ...NOT_ONESELF,
  path: ['friendId'],
});
export const NewBlockParams = BlockParams.refine(({ id, blockedId }) => id !== blockedId, {
  ...NOT_ONESELF,
  path: ['blockedId'],
});

/** How long a page may be; without either all of it comes at once. */
export const ListQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .meta({ description: 'At most so many; then `nextCursor` leads on' }),
  cursor: z.string().max(1000).optional().meta({ description: '`nextCursor` of the page before' }),
});
const NextCursor = z
  .string()
  .nullable()
  .optional()
  .meta({ description: 'Where `limit` or `cursor` was given: leads to the next page; null: this is the last' });

export const Alert = z.enum(['never', 'once', 'always']).meta({
  description: 'Whether the user is told when the friend becomes active; `once` falls back to `never` when sent',
});

export const Friend = StatusPayload.extend({ alert: Alert });

export const FriendsAnswer = z.object({ friends: z.array(Friend), nextCursor: NextCursor }).meta({
  examples: [
    { friends: [{ userId: 'grace', status: 'active', lastSeen: '2026-01-31T12:00:00.000Z', alert: 'never' }] },
  ],
});
export type FriendView = z.infer<typeof FriendsAnswer>['friends'][number];

export const AlertBody = request({ alert: Alert }).meta({ examples: [{ alert: 'always' }] });

export const Block = z.object({ userId: UserId });

export const BlocksAnswer = z
  .object({ blocks: z.array(Block), nextCursor: NextCursor })
  .meta({ examples: [{ blocks: [{ userId: 'mallory' }] }] });

export const Visibility = z.enum(VISIBILITIES);

export const Settings = z
  .object({
    visibility: Visibility.meta({ description: 'Who may see whether the user is active' }),
    lastSeenVisibility: Visibility.meta({ description: 'Who of these may see when the user was last seen' }),
    lastSeenPrecision: z.enum(PRECISIONS).meta({
      description: '`coarse`: others who may know it are told about how long ago that was (`lastSeenWithin`)',
    }),
    alertFriends: z.boolean().meta({ description: 'Whether friends who asked for it may be told' }),
  })
  .meta({
    examples: [
      { visibility: 'everyone', lastSeenVisibility: 'friends', lastSeenPrecision: 'exact', alertFriends: true },
    ],
  });
export type Settings = z.infer<typeof Settings>;

/** What is not named stays as it is. */
export const SettingsBody = request(Settings.partial().shape)
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    error: `At least one of ${Object.keys(Settings.shape).join(', ')}`,
  })
  .meta({ examples: [{ lastSeenVisibility: 'friends' }] });

const LONGEST_NAME = 100;
const LONGEST_ADDRESS = 2048;

/** One that a browser may load, as it stands: without spaces or line breaks, which URL parsers forgive. */
const PictureAddress = z
  .string()
  .max(LONGEST_ADDRESS)
  .refine((text) => /^https?:\/\/[^\s\p{Cc}\p{Cs}]+$/iu.test(text) && URL.canParse(text), {
    error: 'An http or https address is needed',
  })
  .meta({ format: 'uri', examples: ['https://example.com/ada.png'] });

export const Profile = z
  .object({
    userId: UserId,
    displayName: z.string().nullable(),
    avatarUrl: z.string().nullable(),
    createdAt: Time.meta({ description: 'When the user was first heard of' }),
    lastSeen: Time.nullable(),
  })
  .meta({
    examples: [
      {
        userId: 'ada',
        displayName: 'Ada Lovelace',
        avatarUrl: 'https://example.com/ada.png',
        createdAt: '2025-12-10T09:30:00.000Z',
        lastSeen: '2026-01-31T12:00:00.000Z',
      },
    ],
  });
export type Profile = z.infer<typeof Profile>;

/** What is not named stays as it is; null, or a name of nothing, takes it away. */
export const ProfileBody = request({
  displayName: line(LONGEST_NAME).nullable().optional().meta({ description: 'null takes it away' }),
  avatarUrl: PictureAddress.nullable().optional().meta({ description: 'null takes it away' }),
}).meta({ examples: [{ displayName: 'Ada Lovelace', avatarUrl: 'https://example.com/ada.png' }, { avatarUrl: null }] });
export type ProfileBody = z.infer<typeof ProfileBody>;
