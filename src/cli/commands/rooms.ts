import type { Command } from '../command.ts';
import { clockTime, plain, table } from '../output.ts';

interface Room {
  roomId: string;
  count: number;
  users?: { userId: string; since?: string; data?: unknown; idle?: boolean }[];
  nextCursor?: string | null;
}

/** `rollcall rooms`: the fullest rooms, or who is in one. */
export const rooms: Command = {
  takes: '[room]',
  does: 'lists the rooms where somebody is, the fullest first, or who is in one',
  more: `Who appears inactive is in none.

  --limit 100       at most so many
  --cursor <text>   of a room: the next page, by the nextCursor of --json`,
  options: { limit: { type: 'string' }, cursor: { type: 'string' } },
  words: { least: 0, most: 1 },
  async run({ given, ask, say, paint }) {
    const [roomId] = given.positionals;
    const limit = given.count('limit', 100);
    if (roomId === undefined) {
      const answer = await ask<{ rooms: Room[] }>('GET', '/rooms', { limit });
      const rows = answer.rooms.map((room) => [room.roomId, String(room.count)]);
      return say(rows.length === 0 ? 'Nobody is in any room.' : table([['ROOM', 'USERS'], ...rows]), answer);
    }
    const path = `/rooms/${encodeURIComponent(roomId)}`;
    const room = await ask<Room>('GET', path, { limit, cursor: given.text('cursor') });
    const rows = (room.users ?? []).map(({ userId, since, data, idle }) => [
      userId,
      clockTime(since ?? null),
      idle === true ? 'idle' : '',
      data === undefined || data === null ? '' : plain(JSON.stringify(data)),
    ]);
    const more = room.nextCursor ? paint('dim', `\n… and more: --cursor ${room.nextCursor}`) : '';
    say(room.count === 0 ? `Nobody is in ${roomId}.` : table([['USER', 'SINCE', '', 'DATA'], ...rows]) + more, room);
  },
};
