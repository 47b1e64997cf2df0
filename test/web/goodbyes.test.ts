import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/log.ts';
import type { FollowUps } from '../../src/queues/follow-ups.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { UserRooms } from '../../src/redis/user-rooms.ts';
import type { Stores } from '../../src/stores.ts';
import { NO_TRACING } from '../../src/telemetry/tracing.ts';
import type { Connection } from '../../src/web/sessions/connection.ts';
import { Goodbyes } from '../../src/web/sessions/goodbyes.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';

let room: Room;

beforeAll(async () => {
  room = await openRoom('goodbyes');
});
afterAll(() => room.close());

/** Says goodbyes to a real Redis; what scripts ask of the queues is for the sweep here. */
function goodbyes(userRooms?: UserRooms): Goodbyes {
  const stores = { store: room.store, userRooms, keys: room.keys, tracing: NO_TRACING } as unknown as Stores;
  return new Goodbyes(stores, { add: () => {} } as unknown as FollowUps, createLogger({ logLevel: 'silent' }, 'web'));
}

async function connections(name: string, count: number): Promise<Connection[]> {
  const all = Array.from({ length: count }, async (_, n) => {
    const userId = `${name}-${n}`;
    const { session } = await room.comes(userId);
    return { ...session, shard: shardOf(userId), times: { ttlMs: TTL_MS } } as Connection;
  });
  return Promise.all(all);
}

const isHere = async ({ userId }: Connection) => (await room.redis.exists(room.keys.status(userId))) === 1;

test('who leaves does not wait until Redis has heard of those who left before', async () => {
  const [first, second] = await connections('few', 2);
  if (!first || !second) throw new Error('There are two');
  const asked = vi.spyOn(room.store, 'close');
  const saying = goodbyes();
  saying.add(first, 0);
  saying.add(second, 0);
  expect(asked.mock.calls.map(([{ userId }]) => userId)).toEqual(['few-0', 'few-1']);
  await saying.settled();
  expect([await isHere(first), await isHere(second)]).toEqual([false, false]);
  asked.mockRestore();
});

test('of a crowd that leaves at once Redis hears of a hundred at a time, and of all of them', async () => {
  const crowd = await connections('crowd', 150);
  const asked = vi.spyOn(room.store, 'close');
  const saying = goodbyes();
  for (const connection of crowd) saying.add(connection, 0);
  expect(asked).toHaveBeenCalledTimes(100);
  await saying.settled();
  expect(asked).toHaveBeenCalledTimes(150);
  expect(await Promise.all(crowd.map(isHere))).not.toContain(true);
  asked.mockRestore();
});

test('who leaves a room and breaks off a moment later is not in it through their grace', async () => {
  const [cleo] = await connections('rooms', 1);
  if (!cleo) throw new Error('There is one');
  const userRooms = new UserRooms(room.redis, room.keys, new RedisClock(), TTL_MS, 5);
  for (const roomId of ['doc:1', 'doc:2']) await userRooms.join({ ...cleo, roomId }, '');
  const saying = goodbyes(userRooms);
  // So soon after the last it waits for others to go with it.
  const leaving = userRooms.leave({ ...cleo, roomId: 'doc:1' });
  saying.add({ ...cleo, rooms: new Map() } as Connection, 20_000);
  await saying.settled();
  expect((await leaving).code).toBe('ok');
  const { users } = await userRooms.ofUsers(cleo.shard, [cleo.userId]);
  expect(users[0]?.rooms.map(({ roomId }) => roomId)).toEqual(['doc:2']);
});
