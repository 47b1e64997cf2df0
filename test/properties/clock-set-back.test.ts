import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { Indicators } from '../../src/redis/indicators.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { SharedLimits } from '../../src/redis/limits.ts';
import { PushPlaces } from '../../src/redis/push-places.ts';
import { runScript } from '../../src/redis/scripts.ts';
import { timeOf } from '../../src/redis/time.ts';
import { manual } from '../support/said.ts';
import { openRoom, type Room, TTL_MS } from './room.ts';

// A clock that was set back by an hour is one by which all that was written lies an hour ahead.
const HOUR = 3_600_000;
let room: Room;
let serial = 0;
let userId = '';
let shard = 0;

beforeAll(async () => {
  room = await openRoom('clock set back');
});
afterAll(() => room.close());
beforeEach(() => {
  userId = `bob:${serial++}`;
  shard = shardOf(userId);
});

const now = () => timeOf(room.redis, 'any');
const expire = async () => (await room.store.expire(shard, [{ userId, number: '' }])).users[0];
const statusLeft = () => room.redis.pttl(room.keys.status(userId));

/** Somebody who was heard of an hour ahead. */
async function heardAhead() {
  const { redis, keys } = room;
  const { session } = await room.comes(userId);
  const ahead = (await now()) + HOUR;
  await redis
    .multi()
    .hset(keys.record(userId), `b:${session.sessionId}`, ahead, 'l', ahead)
    .zadd(keys.due(shard), ahead + TTL_MS, userId)
    .set(keys.lastSeen(userId), new Date(ahead).toISOString())
    .pexpire(keys.status(userId), HOUR + TTL_MS)
    .exec();
  return { session, ahead };
}

async function deadline(): Promise<number> {
  return Number(await room.redis.zscore(room.keys.due(shard), userId)) - (await now());
}

describe('after a clock was set back', () => {
  test('who is not heard of again is active for a TTL, and not for the hour', async () => {
    await heardAhead();
    expect(await expire()).toMatchObject({ announced: null });
    for (const left of [await deadline(), await statusLeft()]) {
      expect(left).toBeLessThanOrEqual(TTL_MS);
      expect(left).toBeGreaterThan(TTL_MS - 10_000);
    }
    // Looked at again it is no longer than that.
    const before = await room.redis.hgetall(room.keys.record(userId));
    await expire();
    expect(await room.redis.hgetall(room.keys.record(userId))).toEqual(before);
  });

  test('they are found among all who have a deadline, and nobody else is', async () => {
    const { deadlines, redis, keys } = room;
    await heardAhead();
    const other = `bob:other-${serial}`;
    await redis.zadd(keys.due(shard), (await now()) + TTL_MS, other);
    const { userIds } = await deadlines.pageDueAfter(shard, TTL_MS + 1000, '0', 1000);
    expect(userIds).toContain(userId);
    expect(userIds).not.toContain(other);
  });

  test.each([
    ['kept for a while', 30_000],
    ['that has just come', 0],
  ])('a heartbeat %s counts from when it was, and the last seen does not go back', async (_, ageMs) => {
    const { store, redis, keys } = room;
    const { session, ahead } = await heardAhead();
    const { refused } = await store.touch([{ ...session, ageMs, state: null, kept: ageMs > 0 }]);
    expect(refused).toEqual([]);
    const beat = Number(await redis.hget(keys.record(userId), `b:${session.sessionId}`));
    expect((await now()) - beat).toBeGreaterThanOrEqual(ageMs);
    expect((await now()) - beat).toBeLessThan(ageMs + 10_000);
    for (const left of [await deadline(), await statusLeft()]) expect(left).toBeLessThanOrEqual(TTL_MS - ageMs);
    expect(await redis.get(keys.lastSeen(userId))).toBe(new Date(ahead).toISOString());
  });

  test('a session that was handed over, or is in its grace, waits for its client for a TTL at most', async () => {
    const { store, redis, keys } = room;
    const { session } = await room.comes(userId);
    await store.handOver(shard, [session], 15_000);
    const field = `s:${session.sessionId}`;
    const value = String(await redis.hget(keys.record(userId), field));
    await redis.hset(keys.record(userId), field, value.replace(/\|h\|\d+\|/, `|h|${(await now()) + HOUR}|`));
    await redis.zadd(keys.due(shard), (await now()) + HOUR, userId);
    await expire();
    expect(await deadline()).toBeLessThanOrEqual(TTL_MS);
  });

  test('expiry is not held for the hour', async () => {
    const { redis, keys } = room;
    const { pulse: beat, hold, epoch, server, holds, onlookers } = keys;
    const own = [beat, hold, epoch, server, holds, onlookers].map((key) => key(shard));
    const pulse = (behindMs: number) =>
      runScript(redis, 'pulse', own, [1000, 'x', behindMs, 'a process', 0, 5000, 60_000]);
    await pulse(9000);
    const ahead = (await now()) + HOUR;
    await redis
      .multi()
      .set(keys.pulse(shard), ahead)
      .set(keys.hold(shard), 'all', 'PX', HOUR)
      .zadd(keys.holds(shard), ahead + 1000, 'after a gap', ahead + 9000, 'another process')
      .exec();
    await pulse(0);
    expect(await redis.exists(keys.hold(shard))).toBe(0);
    await pulse(9000);
    expect(await redis.pttl(keys.hold(shard))).toBeLessThanOrEqual(9000);
    await pulse(0);
  });

  test('what is to be told is told: no wake-up and no lease of that hour is waited for', async () => {
    const { redis, keys, leftovers, outbox } = room;
    await room.comes(userId);
    for (const group of ['deliver', 'record'] as const) {
      await redis.set(keys.wake(group, shard), '1', 'PX', HOUR);
      await redis.set(keys.lease(group, shard), 'another drain', 'PX', HOUR);
    }
    await redis.set(keys.sweepLease(0), 'another worker', 'PX', HOUR);
    const find = (token: string) => leftovers.find([shard], 10, token);
    expect((await find('this one'))?.shards[0]).toMatchObject({ wakeDeliver: true, wakeRecord: true });
    expect(await find('a third')).toBeNull();
    await leftovers.giveLeaseBack(0, 'a third');
    expect(await find('a third')).toBeNull();
    await leftovers.giveLeaseBack(0, 'this one');
    expect(await find('a third')).not.toBeNull();
    const take = (token: string) => outbox.take('deliver', new Map([[shard, []]]), { token, count: 1 });
    expect((await take('this drain')).get(shard)?.state).toBe('entries');
    expect((await take('a third')).get(shard)?.state).toBe('busy');
  });

  test('who signed out in that hour and came again is let in when Redis has lost them', async () => {
    const { store, redis, keys } = room;
    const { session } = await room.comes(userId);
    await redis.del(keys.record(userId));
    await redis.set(keys.signedOut(userId), (await now()) + HOUR, 'PX', HOUR);
    const device = { kind: 'web' as const, name: '', state: 'active' as const };
    const ages = { beatAgeMs: 0, connectedAgeMs: 1000, maxSessions: 20, mode: 'restore' as const };
    expect(await store.open({ ...session, ...device, ...ages, claims: null }, 'new')).toMatchObject({ code: 'ok' });
  });

  test('what a user chooses is told as soon as ever', async () => {
    const { redis, keys, store } = room;
    await room.comes(userId);
    const ahead = (await now()) + HOUR;
    await redis.hset(keys.record(userId), 'm', `40|${ahead}|${ahead}`, 'o', `${ahead}`);
    await redis.zadd(keys.due(shard), ahead, userId);
    const before = Number(await redis.hget(keys.record(userId), 'v'));
    await store.setDetail(userId, manual({ availability: 'busy' }), null);
    expect(Number(await redis.hget(keys.record(userId), 'v'))).toBeGreaterThan(before);
  });

  test('nobody is shown typing for the hour', async () => {
    const { redis, keys } = room;
    const indicators = new Indicators(redis, keys, new RedisClock());
    const conversationId = `talk-${serial}`;
    const at = shardOf(conversationId);
    await indicators.start({ conversationId, userId, kind: 'typing', conn: 'a' });
    const [[field = ''] = []] = Object.entries(await redis.hgetall(keys.doing(conversationId)));
    await redis.hset(keys.doing(conversationId), field, (await now()) + HOUR);
    await redis.zadd(keys.indicators(at), (await now()) + HOUR, JSON.stringify([conversationId, field]));
    await indicators.expire(at, 10);
    expect(await redis.exists(keys.doing(conversationId))).toBe(0);
    await indicators.start({ conversationId, userId, kind: 'typing', conn: 'a' });
    await indicators.expire(at, 10);
    expect(await redis.exists(keys.doing(conversationId)), 'who types now is shown').toBe(1);
  });

  test('a limit is that of its window, and a push service is not left alone for the hour', async () => {
    const { redis, keys } = room;
    const limits = new SharedLimits(redis, keys);
    await limits.reserve('test', userId, 1, 10_000);
    const [key = ''] = await redis.keys(keys.limit('test', '*'));
    await redis.pexpire(key, HOUR);
    expect((await limits.reserve('test', userId, 1, 10_000)).leftMs).toBeLessThanOrEqual(10_000);
    const places = new PushPlaces(redis, keys);
    const turn = await places.take('push.example', userId);
    if (turn.place) await places.giveBack(turn.place, 'silent', 10);
    expect((await places.take('push.example', userId)).place).toBeNull();
    const [host = ''] = await redis.keys(keys.pushHost('*'));
    await redis.hset(host, 'all', (await now()) + HOUR, 'until', (await now()) + HOUR);
    expect((await places.take('push.example', userId)).place).not.toBeNull();
  });

  test('losses are looked for without waiting for the hour', async () => {
    const { redis, keys, losses } = room;
    const ahead = (await now()) + HOUR;
    await redis.hset(keys.settled, { epoch: 'x', at: ahead, returned: ahead });
    expect(await losses.state()).toMatchObject({ settledAt: 0, returnedAt: 0 });
    const { now: returned } = await losses.noteReturn();
    expect(await losses.state()).toMatchObject({ settledAt: 0, returnedAt: returned });
  });
});

test('a process notices that a clock was set, either way, and not that an answer was slow', async () => {
  const clock = new RedisClock();
  const sentAt = performance.now();
  expect(clock.hasMoved(5_000_000, sentAt), 'it knew of none').toBe(false);
  clock.learn(5_000_000, sentAt);
  expect(clock.hasMoved(5_000_500, sentAt)).toBe(false);
  for (const by of [-HOUR, -2000, 2000, HOUR]) expect(clock.hasMoved(5_000_000 + by, performance.now())).toBe(true);
  // Sent four seconds ago, and answered at any time since.
  for (const ago of [4000, 2000, 0]) expect(clock.hasMoved(5_000_000 - ago, performance.now() - 4000)).toBe(false);
});
