import { expect, test } from 'vitest';
import { type Room, type WatchedRoom, withRooms } from '../../src/client/rooms.ts';
import { createFakePresence, type FakePresenceOptions } from '../../src/testing/index.ts';

const MORNING = '2026-03-02T09:00:00.000Z';
const nextTurns = async () => {
  for (let n = 0; n < 20; n += 1) await Promise.resolve();
};

/** A fake that is connected, and a room that the one who is signed in is in. */
async function inRoom(options: FakePresenceOptions = {}) {
  const fake = createFakePresence({ now: MORNING, ...options });
  const errors: string[] = [];
  fake.onError(({ code }) => errors.push(code));
  const room = withRooms(fake).room('doc:1', { data: { page: 1 } });
  fake.connect();
  await nextTurns();
  return { fake, room, errors };
}

const seen = (room: Room | WatchedRoom) => {
  const { users, count, me, error } = room.get();
  return [
    users.map(({ userId, data }) => `${userId} ${JSON.stringify(data)}`).join(', '),
    count,
    me?.userId,
    error?.code,
  ];
};

test('the room of a component is there with the first connection; others come, say something and go as the test wants', async () => {
  const { fake, room } = await inRoom();
  expect(seen(room)).toEqual(['me {"page":1}', 1, 'me', undefined]);
  expect(room.get().me?.since).toBe(MORNING);
  fake.advance(60_000);
  fake.enterRoom('ada', 'doc:1', { page: 4 });
  expect(seen(room)).toEqual(['me {"page":1}, ada {"page":4}', 2, 'me', undefined]);
  fake.enterRoom('ada', 'doc:1', { page: 5 });
  expect(room.get().users[1]).toEqual({ userId: 'ada', since: '2026-03-02T09:01:00.000Z', data: { page: 5 } });
  fake.leaveRoom('ada', 'doc:1');
  fake.enterRoom('bob', 'doc:1');
  fake.leave('bob');
  expect(seen(room)).toEqual(['me {"page":1}', 1, 'me', undefined]);
  // The server takes so many a second; the first goes at once.
  room.update({ page: 2 });
  await nextTurns();
  expect(seen(room)).toEqual(['me {"page":2}', 1, 'me', undefined]);
});

test('who looks from outside is told without being there, and a room is left when the last lets go', async () => {
  const { fake, room } = await inRoom();
  const { watchRoom } = withRooms(fake);
  fake.enterRoom('ada', 'doc:2');
  const other = watchRoom('doc:2');
  const same = watchRoom('doc:1');
  await nextTurns();
  expect([seen(other), seen(same)].map(([, count]) => count)).toEqual([1, 1]);
  room.leave();
  await nextTurns();
  expect(seen(same)).toEqual(['', 0, undefined, undefined]);
});

test('what happens without a connection shows with the next one, and who is signed in is still there', async () => {
  const { fake, room } = await inRoom();
  fake.enterRoom('ada', 'doc:1');
  fake.lose();
  fake.leaveRoom('ada', 'doc:1');
  expect(seen(room)[1]).toBe(2);
  fake.restore();
  await nextTurns();
  expect(seen(room)).toEqual(['me {"page":1}', 1, 'me', undefined]);
});

test('who appears inactive is not among those here, and sees that', async () => {
  const { fake, room } = await inRoom();
  fake.enterRoom('ada', 'doc:1');
  await fake.setStatus('inactive', { expiresInSeconds: 60 });
  expect(seen(room)).toEqual(['ada null', 1, undefined, undefined]);
  fake.advance(60_000);
  expect(seen(room)).toEqual(['ada null, me {"page":1}', 2, 'me', undefined]);
});

test('a test has somebody put out, and refused', async () => {
  const { fake, room, errors } = await inRoom();
  fake.closeRoom('doc:1', 'kicked');
  expect(seen(room)).toEqual(['', undefined, undefined, 'KICKED']);
  fake.refuse('TOO_MANY_ROOMS');
  const another = withRooms(fake).room('doc:2');
  await nextTurns();
  expect(seen(another)[3]).toBe('TOO_MANY_ROOMS');
  expect(errors).toEqual(['KICKED', 'TOO_MANY_ROOMS']);
});
