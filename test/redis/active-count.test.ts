import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { SeenIndex } from '../../src/redis/seen-index.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';
import { manual } from '../support/said.ts';

let room: Room;
let seen: SeenIndex;
let serial = 0;
let userId = '';

beforeAll(async () => {
  room = await openRoom('active count');
  seen = new SeenIndex(room.redis, room.keys);
});
afterAll(() => room.close());
beforeEach(async () => {
  userId = `ann-${serial++}`;
  await room.redis.del(
    ...Array.from({ length: 16 }, (_, shard) => [
      room.keys.due(shard),
      room.keys.apartDue(shard),
      room.keys.apartActive(shard),
    ]).flat(),
  );
});

const now = async () => (await seen.state()).now;
const active = async (inMs = 0) => (await seen.count((await now()) + inMs, [])).active;
const choice = { expiresInMs: null, cleared: false, claims: null };

test('whoever is here counts until the deadline, and from then on without anybody looking', async () => {
  expect(await active()).toBe(0);
  await room.comes(userId);
  await room.comes(userId);
  expect(await active()).toBe(1);
  expect(await active(TTL_MS - 5000)).toBe(1);
  expect(await active(TTL_MS + 1)).toBe(0);
});

test('a closed last session ends it before its transition is made; a grace does not', async () => {
  const { session } = await room.comes(userId);
  await room.store.close(session, 0, 5000);
  expect(await active()).toBe(1);
  expect(await active(6000)).toBe(0);
  const again = await room.comes(userId);
  await room.store.close(again.session, 0, 0);
  expect(await active()).toBe(0);
});

test('who appears inactive does not count, however often heard of, until that ends', async () => {
  const { session } = await room.comes(userId);
  await room.store.setStatus(userId, 'inactive', choice, null);
  expect(await active()).toBe(0);
  await room.store.touch([{ ...session, ageMs: 0, state: null }]);
  expect(await active()).toBe(0);
  await room.store.setStatus(userId, 'active', { ...choice, cleared: true }, null);
  expect(await active()).toBe(1);
});

test('a detail that ends by itself neither ends nor prolongs being counted', async () => {
  const { session } = await room.comes(userId);
  await room.store.setDetail(userId, manual({ text: 'lunch' }, 20_000), null);
  expect(await active()).toBe(1);
  expect(await active(30_000), 'nobody has looked at the end of the detail yet').toBe(1);
  expect(await active(TTL_MS + 1)).toBe(0);
  await room.store.touch([{ ...session, ageMs: 0, state: null }]);
  expect(await active(30_000)).toBe(1);
  await room.store.logOut(userId, null);
  expect(await active(), 'away, and still due for the detail').toBe(0);
});

test('who was overdue while a web was behind with beats stays noted nowhere once they are gone', async () => {
  const { redis, keys, store } = room;
  const shard = shardOf(userId);
  const { session } = await room.comes(userId);
  await store.setStatus(userId, 'inactive', { ...choice, expiresInMs: 1 }, null);
  await redis.set(keys.hold(shard), 'beats');
  await redis.hset(keys.record(userId), `b:${session.sessionId}`, (await now()) - TTL_MS);
  await store.expire(shard, [{ userId, number: '' }]);
  expect(await redis.hmget(keys.record(userId), 'h', `b:${session.sessionId}`)).toEqual([null, expect.any(String)]);
  await redis.del(keys.hold(shard));
  await store.expire(shard, [{ userId, number: '' }]);
  expect(await redis.hget(keys.record(userId), `b:${session.sessionId}`)).toBeNull();
  expect(await redis.zrange(keys.apartDue(shard), '0', '-1')).toEqual([]);
});

test('a logout and the dropping of what was cached leave in the index who was seen', async () => {
  const { redis, keys, store } = room;
  await room.comes(userId);
  await store.logOut(userId, null);
  const { users } = await store.snapshot(shardOf(userId), [userId]);
  await store.dropCached(shardOf(userId), [{ userId, version: users[0]?.version ?? 0 }]);
  expect(await redis.get(keys.lastSeen(userId))).toBeNull();
  expect(Number(await redis.zscore(keys.seen(shardOf(userId)), userId))).toBe(users[0]?.lastSeen);
});
