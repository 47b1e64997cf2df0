import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisClock } from '../../src/redis/clock.ts';
import { shardOf } from '../../src/redis/keys.ts';
import { PrivacyCache } from '../../src/redis/privacy-cache.ts';
import { NO_TRACING } from '../../src/telemetry/tracing.ts';
import { openRoom, type Room, TTL_MS } from '../properties/room.ts';

let room: Room;
let privacy: PrivacyCache;
beforeAll(async () => {
  room = await openRoom('staged privacy');
  privacy = new PrivacyCache(room.redis, room.keys, new RedisClock(), TTL_MS, NO_TRACING);
});
afterAll(() => room.close());

const friendsOnly = (revision: number) =>
  ({
    revision,
    visibility: 'friends',
    lastSeenVisibility: 'friends',
    lastSeenPrecision: 'exact',
    open: false,
  }) as const;

async function gather(userId: string, token: string): Promise<string> {
  await privacy.stage(userId, token, 'friends', ['ann', 'bob']);
  return room.keys.stagedPrivacy(shardOf(userId), token);
}

test.each([
  ['nobody has said yet whether the user is known', 'stored', 20, 2, null],
  ['something newer stands there', 'old', 5, 2, 'new'],
  ['a part of it has gone meanwhile', 'whole', 20, 3, 'new'],
] as const)('lists that were gathered are let go of where %s', async (why, code, revision, size, stored) => {
  const userId = `user ${why}`;
  if (code === 'old') {
    const first = await gather(userId, 'first');
    await privacy.set(userId, friendsOnly(10), null, { token: 'first', size: 2 }, 'new');
    expect(await room.redis.exists(first)).toBe(0);
  }
  const key = await gather(userId, 'second');
  const set = await privacy.set(userId, friendsOnly(revision), null, { token: 'second', size }, stored);
  expect(set.code).toBe(code);
  expect(await room.redis.exists(key)).toBe(0);
});
