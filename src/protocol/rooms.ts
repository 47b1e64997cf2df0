import { z } from 'zod';
import { greeting, request } from './requests.ts';
import { Id, LIMITS, Time, UserId, Version } from './vocabulary.ts';

/** What somebody says of themselves in a room: any JSON object of so many bytes. */
const RoomData = z
  .record(z.string(), z.unknown())
  .refine((data) => roomDataBytes(data) <= LIMITS.roomDataBytes, {
    error: `At most ${LIMITS.roomDataBytes} bytes as JSON, and no halves of a character`,
  })
  .meta({ description: `Any JSON object of at most ${LIMITS.roomDataBytes} bytes: a cursor, a colour, a page` });

function roomDataBytes(data: object): number {
  const text = JSON.stringify(data);
  return text.isWellFormed() ? new TextEncoder().encode(text).byteLength : Number.POSITIVE_INFINITY;
}

/** The payload of `join_room`. */
export const JoinRoomRequest = request({ roomId: Id, data: RoomData.optional() });

/** What a handshake names a room by. */
export const NamedRoom = greeting({ roomId: Id, data: RoomData.optional() });
export type NamedRoom = z.infer<typeof NamedRoom>;
export const UpdateRoomRequest = request({ roomId: Id, data: RoomData });
export const RoomRequest = request({ roomId: Id });

/** Somebody who is in a room, as the viewer may know it. */
export const RoomUser = z
  .object({
    userId: UserId,
    since: Time.optional().meta({
      description: 'When the first of their sessions there came; absent for who may not know the last seen',
    }),
    data: z.record(z.string(), z.unknown()).nullable().meta({ description: 'What they said of themselves last' }),
    idle: z.literal(true).optional().meta({ description: 'Nothing was done for a while on any device' }),
  })
  .meta({ examples: [{ userId: 'ada', since: '2026-01-31T12:00:00.000Z', data: { page: 3 } }] });
export type RoomUser = z.infer<typeof RoomUser>;

const Count = z.int().nonnegative().meta({ description: 'Of those whom the viewer may see' });
const Cursor = z.string().nullable();

/** A room as a connection is shown it: without `users` where it has so many that it is told as a count. */
export const Room = z.object({
  roomId: Id,
  version: Version,
  count: Count,
  users: z.array(RoomUser).optional().meta({ description: 'The first hundred, by their ids' }),
  nextCursor: z.string().optional().meta({ description: 'Where there are more: for `GET /rooms/:id`' }),
});
export type Room = z.infer<typeof Room>;

/**
 * What has happened in a room, with `joined`, `changed` and `left`; or a whole picture, with `users`, which replaces; or of a large room its
 * count alone.
 */
export const RoomChange = Room.extend({
  joined: z.array(RoomUser).optional().meta({ description: 'They may be known already, and replace what was' }),
  changed: z.array(RoomUser.omit({ since: true })).optional(),
  left: z.array(z.object({ userId: UserId })).optional(),
});
export type RoomChange = z.infer<typeof RoomChange>;

export const RoomClosed = z.object({ roomId: Id, reason: z.enum(['kicked', 'forbidden']) });
export type RoomClosed = z.infer<typeof RoomClosed>;

const limit = z.coerce.number().int().min(1).max(LIMITS.idsInList);

export const RoomParams = z.object({ id: Id });
export const RoomUserParams = z.object({ id: Id, userId: UserId });
export const RoomQuery = z.object({ limit: limit.default(100), cursor: z.string().optional() });
export const RoomsQuery = z.object({ limit: limit.default(100) });
export const CountRoomsRequest = request({ roomIds: z.array(Id).min(1).max(LIMITS.idsInList) }).meta({
  examples: [{ roomIds: ['doc:42', 'page:home'] }],
});

/** A page of who is in a room. */
export const RoomAnswer = z
  .object({
    roomId: Id,
    version: Version,
    count: Count,
    users: z.array(RoomUser),
    nextCursor: Cursor,
  })
  .meta({
    examples: [
      {
        roomId: 'doc:42',
        version: 1769860800120,
        count: 1,
        users: [{ userId: 'ada', since: '2026-01-31T12:00:00.000Z', data: { page: 3 } }],
        nextCursor: null,
      },
    ],
  });
export type RoomAnswer = z.infer<typeof RoomAnswer>;

export const RoomCount = z.object({ roomId: Id, count: Count });
export type RoomCount = z.infer<typeof RoomCount>;
export const RoomCountsAnswer = z
  .object({ rooms: z.array(RoomCount) })
  .meta({ examples: [{ rooms: [{ roomId: 'doc:42', count: 3 }] }] });

/** A room that a user is in, as the user itself and services know it. */
export const UserRoom = z.object({ roomId: Id, since: Time, sessionIds: z.array(Id) });
export type UserRoom = z.infer<typeof UserRoom>;
export const UserRoomsAnswer = z.object({ rooms: z.array(UserRoom) }).meta({
  examples: [
    { rooms: [{ roomId: 'doc:42', since: '2026-01-31T12:00:00.000Z', sessionIds: ['d3fW0mT8kQzXn5vJ2hLbYc'] }] },
  ],
});
