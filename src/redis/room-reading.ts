import type {
  RoomCounts,
  RoomEvent,
  RoomHappening,
  RoomMember,
  RoomOpenness,
  RoomPage,
  RoomPicture,
  ToldOfRooms,
} from './room-types.ts';
import type { Reply } from './scripts.ts';

/** Reads what a user's rooms are told as (lua/lib-rooms.lua). */
export function toldOf(userId: string, sequence: string, json: string): ToldOfRooms {
  const rooms = Object.entries(JSON.parse(json) as Record<string, 0 | [number, string, string, object | null]>);
  return {
    userId,
    sequence: Number(sequence),
    rooms: new Map(
      rooms.map(([roomId, told]) => {
        if (told === 0) return [roomId, null];
        const [since, access, idle, data] = told;
        return [roomId, { since, access, idle: idle === 'i', data: data === null ? '' : JSON.stringify(data) }];
      }),
    ),
  };
}

/** Reads the fields of what has happened in a room (lua/apply-rooms.lua). */
export function happeningOf(field: (name: string) => string): RoomHappening {
  const member: RoomMember = {
    userId: field('user'),
    since: Number(field('since')),
    openness: opennessOf(field('access')),
    idle: field('idle') === 'i',
    data: field('data'),
  };
  return {
    roomId: field('room'),
    version: Number(field('version')),
    what: field('what') as RoomEvent,
    counts: countsOf(field('counts')),
    member: member.userId === '' ? null : member,
    was: field('was') === '' ? null : opennessOf(field('was')),
  };
}

/** Reads the picture of a room (lua/lib-picture.lua); `known`: the page that it refers to where it does not say it again. */
export function pictureOf(roomId: string, [version, unsettled, , ...said]: Reply[], known?: RoomPage): RoomPicture {
  const page = said.length > 0 || !known ? pageOf(said) : known;
  return { roomId, version: Number(version), unsettled: unsettled === 1, ...page };
}

function pageOf([counts, big, members, more, closed]: Reply[]): RoomPage {
  return {
    counts: countsOf(String(counts)),
    big: big === 1,
    members: (members as string[]).map(memberOf),
    more: more === 1,
    closed: closed as string[],
  };
}

/** Reads three numbers, as scripts write them. */
export function countsOf(text: string): RoomCounts {
  const [all = 0, open = 0, everyone = 0] = text.split(' ').map(Number);
  return { all, open, everyone };
}

function memberOf(text: string): RoomPage['members'][number] {
  const [userId = '', sequence, since, access, idle, ...data] = text.split(' ');
  const shown = { since: Number(since || sequence), idle: idle === 'i', data: data.join(' ') };
  return { userId, sequence: Number(sequence), openness: opennessOf(access || '0'), ...shown };
}

function opennessOf(access: string): RoomOpenness {
  if (access === '0') return 'open';
  return access.startsWith('e') ? 'everyone' : 'closed';
}
