import { expect } from 'vitest';
import type { Room, RoomUser } from '../../src/protocol/rooms.ts';
import { Roomer } from '../rooms/world.ts';
import type { TestClient } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { casesOf, type JudgedCase } from './judging.ts';
import { HALL, type Viewer, type World } from './world.ts';

/** Open to everybody, as the world is set up. */
export const ROOM = `${HALL}:room`;

/** What one door shows of a room; `users` undefined: it tells how many alone. */
type Shown = Pick<Room, 'count' | 'users'> & { version?: number };

interface RoomDoor {
  /** The routes it stands for. */
  covers: string[];
  look(world: World, viewer: Viewer): Promise<Shown>;
}

const asked = async (client: TestClient, event: 'watch_room' | 'join_room') => {
  const answer = await client.socket.emitWithAck(event, { roomId: ROOM });
  if (!answer.ok) throw new Error(`${event} was refused: ${JSON.stringify(answer.error)}`);
  return answer.room;
};

/** Every way to get a picture of a room that one is not in. */
export const ROOM_DOORS: Record<string, RoomDoor> = {
  'GET room': {
    covers: ['GET /rooms/{id}'],
    look: async (world, { token }) => (await world.call('GET', `/rooms/${ROOM}`, undefined, token)) as Shown,
  },
  'GET room by pages': {
    covers: ['GET /rooms/{id}'],
    look: async (world, { token }) => {
      const users: RoomUser[] = [];
      for (let path = `/rooms/${ROOM}?limit=2`; ; ) {
        const page = (await world.call('GET', path, undefined, token)) as Shown & { nextCursor: string | null };
        users.push(...(page.users ?? []));
        if (page.nextCursor === null) return { ...page, users };
        path = `/rooms/${ROOM}?limit=2&cursor=${page.nextCursor}`;
      }
    },
  },
  counts: {
    covers: ['POST /rooms/counts'],
    look: async (world, { token }) => {
      const answer = await world.call('POST', '/rooms/counts', { roomIds: [ROOM] }, token);
      return (answer as { rooms: Shown[] }).rooms[0] as Shown;
    },
  },
  watch_room: { covers: [], look: async (_, { open }) => asked(open, 'watch_room') },
};

/** Those who hear of the room, by both webs, from before anybody comes to it. */
export async function watchRoom(world: World): Promise<Map<Viewer, Roomer[]>> {
  const listeners = new Map<Viewer, Roomer[]>();
  for (const viewer of world.viewers) {
    const both = [new Roomer(viewer.named), new Roomer(viewer.batched)];
    for (const each of both) expect(await each.watch(ROOM)).toMatchObject({ count: 0, users: [] });
    listeners.set(viewer, both);
  }
  return listeners;
}

/** All targets say this to the room, each once it was answered. */
export async function everybodyIn(world: World, event: 'join_room' | 'update_room', data: object): Promise<void> {
  for (const { socket } of world.targets.values()) {
    expect(await socket.emitWithAck(event, { roomId: ROOM, data: { ...data } })).toMatchObject({ ok: true });
  }
}

/** Whom each viewer is to see there, and how. */
const seenBy = (world: World, viewer: Viewer): JudgedCase[] =>
  casesOf(world, (other) => other === viewer).filter(({ sees }) => sees !== 'nothing');

function judgeUsers(users: readonly RoomUser[], cases: readonly JudgedCase[], data: object, name: string): void {
  const expected = cases.map(({ userId, sees }) => ({
    userId,
    data,
    ...(sees === 'all' ? { since: expect.stringMatching(/\.\d{3}Z$/) } : {}),
  }));
  // All are idle by now, or none; that is no more secret than that they are there.
  expect(new Set(users.map(({ idle }) => idle)).size, name).toBeLessThanOrEqual(1);
  const inOrder = users.map(({ idle, ...user }) => user).sort((a, b) => (a.userId < b.userId ? -1 : 1));
  expect(inOrder, name).toEqual(expected.sort((a, b) => (a.userId < b.userId ? -1 : 1)));
}

/** What listeners were told, once it is all: exactly those whom they may see. */
export async function judgeListeners(world: World, listeners: Map<Viewer, Roomer[]>, data: object): Promise<void> {
  for (const [viewer, both] of listeners) {
    const cases = seenBy(world, viewer);
    for (const [n, roomer] of both.entries()) {
      const name = `${viewer.relation} at web ${n}`;
      const known = await eventually(
        () => roomer.users(ROOM),
        (users) =>
          users.length === cases.length && users.every((user) => JSON.stringify(user.data) === JSON.stringify(data)),
        10_000,
      );
      judgeUsers(known, cases, data, name);
      expect(roomer.rooms.get(ROOM)?.count, name).toBe(cases.length);
    }
  }
}

/** What every viewer is shown by every door. A picture says when it was taken, not when anybody came. */
export async function judgeRoomDoors(world: World, data: object): Promise<void> {
  const latest = Math.max(...[...world.targets.values()].flatMap(({ heard }) => heard.map(({ version }) => version)));
  for (const [door, { look }] of Object.entries(ROOM_DOORS)) {
    for (const viewer of world.viewers) {
      const cases = seenBy(world, viewer);
      const name = `${door}: ${viewer.relation}`;
      const { count, users, version } = await look(world, viewer);
      expect(count, name).toBe(cases.length);
      if (users) judgeUsers(users, cases, data, name);
      if (version !== undefined) expect(version, name).toBeGreaterThan(latest);
    }
  }
}

/** Everybody leaves; who could see them hears of it, and nobody else hears anything at all. */
export async function judgeLeavingRoom(world: World, listeners: Map<Viewer, Roomer[]>): Promise<void> {
  for (const { socket } of world.targets.values()) {
    expect(await socket.emitWithAck('leave_room', { roomId: ROOM })).toEqual({ ok: true });
  }
  await world.mark();
  for (const [viewer, both] of listeners) {
    const seen = seenBy(world, viewer).map(({ userId }) => userId);
    for (const roomer of both) {
      await roomer.sees(ROOM, []);
      expect(roomer.left(ROOM).sort(), viewer.relation).toEqual(seen.sort());
      if (seen.length === 0) expect(roomer.told, viewer.relation).toEqual([]);
      const named = roomer.told.flatMap(({ joined = [], changed = [] }) => [...joined, ...changed]);
      expect(new Set(named.map(({ userId }) => userId)), viewer.relation).toEqual(new Set(seen));
    }
  }
}
