import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { shardOf } from '../../src/redis/keys.ts';
import { runScript } from '../../src/redis/scripts.ts';
import { eventually } from '../support/deployment.ts';
import { openRoom, type Room, TTL_MS } from './room.ts';

let room: Room;
let serial = 0;
let userId = '';
let shard = 0;

beforeAll(async () => {
  room = await openRoom('clock scripts');
});
afterAll(() => room.close());
beforeEach(async () => {
  userId = `ann:${serial++}`;
  shard = shardOf(userId);
  const { pulse, hold, holds, due, epoch } = room.keys;
  await room.redis.del(pulse(shard), hold(shard), holds(shard), due(shard), epoch(shard));
});

async function pulse(name: string, behindMs = 0, process = 'a process', sentAt = 0, patienceMs = 60_000) {
  const { redis, keys } = room;
  const { pulse: beat, hold, epoch, server, holds, onlookers } = keys;
  const own = [beat, hold, epoch, server, holds, onlookers].map((key) => key(shard));
  const reply = await runScript(redis, 'pulse', own, [1000, name, behindMs, process, sentAt, 5000, patienceMs]);
  return { now: Number(reply[0]), epoch: String(reply[1]) };
}

/** As though nobody had reached Redis for so long. */
async function silence(ms: number): Promise<void> {
  const { now } = await pulse('x');
  await room.redis.set(room.keys.pulse(shard), now - ms);
  await room.redis.del(room.keys.hold(shard), room.keys.holds(shard));
}

/** As though the user's deadline had passed so long ago. */
async function overdue(ms: number) {
  const { redis, keys } = room;
  const { session } = await room.comes(userId);
  const [seconds] = await redis.time();
  const beat = Number(seconds) * 1000 - TTL_MS - ms;
  await redis.hset(keys.record(userId), `b:${session.sessionId}`, beat, 'l', beat);
  await redis.zadd(keys.due(shard), beat + TTL_MS, userId);
  await redis.del(keys.status(userId));
  return session;
}

test('user:status expires with the deadline, user:last_seen is ISO-8601 and stays', async () => {
  const { redis, keys } = room;
  await room.comes(userId);
  const [status, ttl, lastSeen, forever] = await Promise.all([
    redis.get(keys.status(userId)),
    redis.pttl(keys.status(userId)),
    redis.get(keys.lastSeen(userId)),
    redis.pttl(keys.lastSeen(userId)),
  ]);
  expect(status).toBe('active');
  expect(ttl).toBeGreaterThan(TTL_MS - 5000);
  expect(ttl).toBeLessThanOrEqual(TTL_MS);
  expect(lastSeen).toBe(new Date(lastSeen ?? '').toISOString());
  expect(Math.abs(Date.now() - Date.parse(lastSeen ?? ''))).toBeLessThan(5000);
  expect(forever).toBe(-1);
});

test('heartbeats make the TTL start again and write nothing to the outbox', async () => {
  const { redis, keys, store } = room;
  const { session } = await room.comes(userId);
  await redis.pexpire(keys.status(userId), 20_000);
  const before = await redis.xlen(keys.outbox(shard));
  const { refused, followUps } = await store.touch([{ ...session, ageMs: 0, state: null }]);
  expect(refused).toEqual([]);
  expect(followUps, 'nothing more than the time is written').toEqual([]);
  expect(await redis.pttl(keys.status(userId))).toBeGreaterThan(20_000);
  expect(await redis.xlen(keys.outbox(shard))).toBe(before);
});

test('a beat after the deadline of its session comes too late, though one of old age made the key live on', async () => {
  const { redis, keys, store } = room;
  const { session } = await room.comes(userId);
  await store.touch([{ ...session, ageMs: 900, state: null }]);
  const [seconds, micros] = await redis.time();
  const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  await redis.hset(keys.record(userId), `b:${session.sessionId}`, now - TTL_MS - 1);
  const { refused } = await store.touch([{ ...session, ageMs: 0, state: null }]);
  expect(refused).toEqual([{ beat: 0, code: 'missing' }]);
});

test('a pulse tells the time of Redis, and the same epoch for as long as the store lives', async () => {
  const first = await pulse('one');
  expect(await pulse('two')).toMatchObject({ epoch: first.epoch });
  expect(first.epoch).toBe(`${first.now} one`);
  await room.redis.del(room.keys.epoch(shard));
  expect((await pulse('two')).epoch).toMatch(/^\d+ two$/);
});

test('while a process is behind with its beats nobody is taken for silent, but who says goodbye has left', async () => {
  const { store } = room;
  const expire = async () => (await store.expire(shard, [{ userId, number: '' }])).users[0];
  await pulse('x', 9000);
  const session = await overdue(5000);
  expect(await expire()).toMatchObject({ announced: null });
  expect((await room.leftovers.find([shard], 10, 'a worker'))?.shards[0]?.overdue).toEqual([]);
  await store.close(session, 0, 0);
  expect(await expire()).toMatchObject({ announced: 'inactive', nextMs: null });
});

test('expiry waits for as long as any process is behind with its beats, and not longer', async () => {
  const { redis, keys } = room;
  const left = () => redis.pttl(keys.hold(shard));
  await pulse('x', 9000, 'one');
  await pulse('x', 4000, 'other');
  expect(await left(), 'the longer of both').toBeGreaterThan(4000);
  await pulse('x', 0, 'one');
  expect(await left(), 'that of the other').toBeGreaterThan(0);
  expect(await left()).toBeLessThanOrEqual(4000);
  await pulse('x', 0, 'other');
  expect(await redis.exists(keys.hold(shard), keys.holds(shard))).toBe(0);
  await silence(1600);
  await pulse('x', 9000, 'one');
  await pulse('x', 0, 'one');
  expect(await left(), 'what is left of the second after a gap').toBeGreaterThan(0);
  expect(await left()).toBeLessThanOrEqual(1000);
});

test('who said goodbye while nothing could expire is seen to while expiry waits for the beats of a process', async () => {
  const { redis, keys, store } = room;
  await pulse('x');
  await silence(1600);
  await pulse('x');
  const { session } = await room.comes(userId);
  await store.close(session, 0, 0);
  const expire = async () => (await store.expire(shard, [{ userId, number: '' }])).users[0];
  expect(await expire(), 'nothing expires').toMatchObject({ announced: null });
  await redis.del(keys.hold(shard), keys.holds(shard));
  await pulse('x', 9000);
  expect((await room.leftovers.find([shard], 10, 'a worker'))?.shards[0]?.overdue).toEqual([userId]);
  expect(await expire()).toMatchObject({ announced: 'inactive' });
});

test('expiry waits no longer in a row for a process than it may, and waits for it again once it had caught up', async () => {
  const { redis, keys } = room;
  const isHeld = () => redis.exists(keys.hold(shard));
  const ask = async () => {
    await pulse('x', 9000, 'one', 0, 300);
    return isHeld();
  };
  expect(await ask()).toBe(1);
  expect(await redis.pttl(keys.hold(shard))).toBeLessThanOrEqual(300);
  await eventually(ask, (held) => held === 0);
  expect(await ask(), 'for good').toBe(0);
  await pulse('x', 0, 'one');
  expect(await ask()).toBe(1);
});

test('the wait for a process that died while it was behind ends by itself, and who is silent is told inactive', async () => {
  await pulse('x', 400, 'dead');
  await overdue(5000);
  const expire = async () => {
    await pulse('x', 0, 'other');
    return (await room.store.expire(shard, [{ userId, number: '' }])).users[0];
  };
  expect(await expire(), 'while it is waited for').toMatchObject({ announced: null });
  await eventually(expire, (user) => user?.announced === 'inactive');
});

test('a contact that was on its way while Redis stood still has expiry wait for its process', async () => {
  const { redis, keys } = room;
  const { now } = await pulse('x');
  await pulse('x', 0, 'one', now - 1400);
  expect(await redis.exists(keys.hold(shard))).toBe(0);
  await pulse('x', 0, 'one', now - 1600);
  expect(await redis.get(keys.hold(shard))).toBe('beats');
  await pulse('x', 0, 'other', now);
  expect(await redis.pttl(keys.hold(shard)), 'whoever came later').toBeGreaterThan(4000);
  await pulse('x', 0, 'one', now);
  expect(await redis.exists(keys.hold(shard))).toBe(0);
});

test('after a gap in the pulse nothing expires for a second; a first contact, and a short gap, hold nothing', async () => {
  const { redis, keys, store } = room;
  await pulse('x');
  expect(await redis.exists(keys.hold(shard))).toBe(0);
  await silence(1000);
  await pulse('x');
  expect(await redis.exists(keys.hold(shard))).toBe(0);
  await overdue(5000);
  await silence(1600);
  const expire = async () => (await store.expire(shard, [{ userId, number: '' }])).users[0];
  expect(await expire(), 'before anybody reached Redis').toMatchObject({ announced: null });
  await pulse('x');
  expect(await redis.pttl(keys.hold(shard))).toBeGreaterThan(0);
  expect(await expire(), 'while the webs tell of their beats').toMatchObject({ announced: null });
  expect((await room.leftovers.find([shard], 10, 'a worker'))?.shards[0]?.overdue).toEqual([]);
  await redis.del(keys.hold(shard));
  expect((await room.leftovers.find([shard], 10, 'a worker'))?.shards[0]?.overdue).toEqual([userId]);
  expect(await expire()).toMatchObject({ announced: 'inactive', nextMs: null });
});

test('where another server has taken over nothing expires for a second, however short the gap', async () => {
  const { redis, keys, store } = room;
  await pulse('x');
  await overdue(10);
  await redis.set(keys.server(shard), 'the one that died');
  await pulse('x');
  const expire = async () => (await store.expire(shard, [{ userId, number: '' }])).users[0];
  expect(await redis.pttl(keys.hold(shard))).toBeGreaterThan(0);
  expect(await expire()).toMatchObject({ announced: null });
  await redis.del(keys.hold(shard), keys.holds(shard));
  await pulse('x');
  expect(await redis.exists(keys.hold(shard)), 'the new one is known by now').toBe(0);
});

test('a sweep names the overdue, a bounded number, and wakes each group that has something to do once', async () => {
  const { redis, keys, leftovers } = room;
  const wakes = [keys.wake('deliver', shard), keys.wake('record', shard)];
  await overdue(10);
  await redis.zadd(keys.due(shard), 1, 'nobody');
  expect((await leftovers.find([shard], 1, 'a worker'))?.shards[0]?.overdue).toEqual(['nobody']);
  await redis.del(...wakes);
  expect((await leftovers.find([shard], 10, 'a worker'))?.shards[0]).toMatchObject({
    overdue: ['nobody', userId],
    wakeDeliver: true,
    wakeRecord: true,
    unrecorded: false,
    choiceUnknown: false,
  });
  expect((await leftovers.find([shard], 10, 'a worker'))?.shards[0]).toMatchObject({
    wakeDeliver: false,
    wakeRecord: false,
  });
  const { users } = await room.store.expire(shard, [{ userId: 'nobody', number: '' }]);
  expect(users).toEqual([{ userId: 'nobody', nextMs: null, announced: null, job: null }]);
  expect(await redis.zscore(keys.due(shard), 'nobody')).toBeNull();
});

test('a change wakes both groups, once until somebody drains', async () => {
  const { redis, keys } = room;
  await redis.del(keys.wake('deliver', shard), keys.wake('record', shard));
  expect((await room.comes(userId)).followUp).toMatchObject({ wakeDeliver: true, wakeRecord: true });
  expect((await room.comes(`${userId}~`)).followUp.shard).toBe(shardOf(`${userId}~`));
  await room.store.logOut(userId, null);
  await room.outbox.take('deliver', new Map([[shard, []]]), { token: 'x', count: 1 });
  expect((await room.comes(userId)).followUp).toMatchObject({ wakeDeliver: true, wakeRecord: false });
});

test('a timeout job is asked for once, sleeps while a connection is held, and goes with its user', async () => {
  const { store } = room;
  const { session, followUp } = await room.comes(userId);
  expect(followUp.arms).toMatchObject([{ kind: 'check', userId, delayMs: 10 * TTL_MS }]);
  const [first] = followUp.arms;
  const number = first?.kind === 'check' ? first.number : '';
  expect((await room.comes(userId)).followUp.arms).toEqual([]);
  const { users } = await store.expire(shard, [{ userId, number }]);
  expect(users[0]).toMatchObject({ job: number, nextMs: 10 * TTL_MS });
  await store.close(session, 0, 0);
  const gone = await store.logOut(userId, null);
  expect(gone.followUp.arms).toEqual([{ kind: 'remove', userId, number }]);
  expect((await store.expire(shard, [{ userId, number }])).users[0]).toMatchObject({ job: null, nextMs: null });
  expect((await room.comes(userId)).followUp.arms).toMatchObject([{ kind: 'check', userId }]);
});

test('a timeout job that finds its user gone is not asked to go as well', async () => {
  const { redis, keys, store } = room;
  const { session, followUp } = await room.comes(userId);
  const [first] = followUp.arms;
  const number = first?.kind === 'check' ? first.number : '';
  await store.close(session, 0, 0);
  const expired = await store.expire(shard, [{ userId, number }]);
  expect(expired.users[0]).toMatchObject({ announced: 'inactive', job: null, nextMs: null });
  expect(expired.followUp.arms).toEqual([]);
  expect(await redis.hget(keys.record(userId), 'j')).toBeNull();
});

test('who was made active without a connection is looked at when their time has come', async () => {
  const { followUp } = await room.store.setStatus(
    userId,
    'active',
    { expiresInMs: null, cleared: false, claims: null },
    'new',
  );
  const [first] = followUp.arms;
  expect(first?.kind === 'check' && first.delayMs).toBeLessThanOrEqual(TTL_MS);
});

test('after a logout is recorded nothing is cached, and nothing that still looks brings it back', async () => {
  const { redis, keys, store } = room;
  const { session } = await room.comes(userId);
  await store.logOut(userId, null);
  const { users } = await store.snapshot(shard, [userId]);
  await store.dropCached(shard, [{ userId, version: users[0]?.version ?? 0 }]);
  await store.close(session, 0, 0);
  await store.expire(shard, [{ userId, number: '' }]);
  await store.inspect(userId);
  expect(await redis.exists(keys.status(userId), keys.lastSeen(userId))).toBe(0);
  expect((await store.snapshot(shard, [userId])).users).toEqual(users);
});

test('who came back after the logout is not forgotten', async () => {
  const { redis, keys, store } = room;
  await room.comes(userId);
  await store.logOut(userId, null);
  const { users } = await store.snapshot(shard, [userId]);
  await room.comes(userId);
  await store.dropCached(shard, [{ userId, version: users[0]?.version ?? 0 }]);
  expect(await redis.exists(keys.status(userId), keys.lastSeen(userId))).toBe(2);
});
