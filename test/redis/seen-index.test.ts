import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKeys, type Keys, SHARDS, shardOf } from '../../src/redis/keys.ts';
import type { Place, Sighting } from '../../src/redis/newest-first.ts';
import { SeenIndex } from '../../src/redis/seen-index.ts';
import { openTestStores, type TestStores } from '../support/stores.ts';

const NOW = Date.UTC(2030, 0, 1);
const MINUTE = 60_000;

let stores: TestStores;
let redis: Redis;
let keys: Keys;
let index: SeenIndex;

beforeAll(async () => {
  stores = await openTestStores('seen index');
  redis = new Redis(stores.redisUrl);
});
afterAll(async () => {
  redis.disconnect();
  await stores.close();
});
beforeEach(empty);

function empty() {
  keys = createKeys(`${stores.redisPrefix}${randomUUID()}:`, false);
  index = new SeenIndex(redis, keys);
}

const people = (count: number, lastSeen: (n: number) => number): Sighting[] =>
  Array.from({ length: count }, (_, n) => ({ userId: `user-${n}`, lastSeen: lastSeen(n) }));

test('who was seen within some minutes is counted to the millisecond', async () => {
  await index.add([
    { userId: 'ann', lastSeen: NOW },
    { userId: 'bob', lastSeen: NOW - MINUTE },
    { userId: 'cid', lastSeen: NOW - MINUTE - 1 },
    { userId: 'dan', lastSeen: NOW - 43_200 * MINUTE },
    { userId: 'eve', lastSeen: NOW - 43_200 * MINUTE - 1 },
  ]);
  const moments = [43_200, 1, 2].map((minutes) => NOW - minutes * MINUTE);
  expect(await index.count(NOW, moments)).toEqual({ active: 0, seen: [4, 2, 3] });
});

test('what is added later than it was heard of here changes nothing', async () => {
  await index.add([{ userId: 'ann', lastSeen: NOW }]);
  await index.add([{ userId: 'ann', lastSeen: NOW - 5 }]);
  expect((await index.page(0, null, 10)).users).toEqual([{ userId: 'ann', lastSeen: NOW }]);
  await index.add([{ userId: 'ann', lastSeen: NOW + 5 }]);
  expect((await index.page(0, null, 10)).users).toEqual([{ userId: 'ann', lastSeen: NOW + 5 }]);
});

describe('a walk', () => {
  async function walk(limit: number, oldest = 0, between: () => Promise<void> = async () => {}): Promise<Sighting[]> {
    const walked: Sighting[] = [];
    for (let after: Place | null = null; ; after = walked.at(-1) ?? null) {
      const page = await index.page(oldest, after, limit);
      walked.push(...page.users);
      if (!page.more) return walked;
      expect(page.users).toHaveLength(limit);
      await between();
    }
  }

  test('of pages that end exactly with the last one says so', async () => {
    await index.add(people(10, (n) => NOW - n));
    const { users, more } = await index.page(0, null, 10);
    expect([users.length, more]).toEqual([10, false]);
    expect(await index.page(0, users.at(-1) ?? null, 10)).toEqual({ users: [], more: false });
    expect((await index.page(NOW - 4, null, 100)).users).toHaveLength(5);
  });

  test('passes through many who were seen in the same millisecond, capital letters and colons included', async () => {
    const ids = [
      'a',
      'A',
      'b',
      'B',
      ':',
      '~',
      'a:',
      'aa',
      'Z',
      '0',
      ...people(500, () => 0).map((each) => each.userId),
    ];
    await index.add(ids.map((userId) => ({ userId, lastSeen: NOW })));
    const walked = (await walk(7)).map((each) => each.userId);
    expect(walked).toEqual(ids.toSorted().toReversed());
  });

  test('lists everybody once who was not heard of meanwhile, whatever others do', async () => {
    const ids = people(60, () => 0).map((each) => each.userId);
    const moves = fc.array(fc.record({ who: fc.nat(79), how: fc.constantFrom('heard', 'heard', 'comes', 'erased') }), {
      maxLength: 6,
    });
    const property = fc.asyncProperty(
      fc.array(fc.nat(40), { minLength: 60, maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(moves, { minLength: 60, maxLength: 60 }),
      async (ages, limit, rounds) => {
        empty();
        const there = new Map(ids.map((userId, n) => [userId, NOW - (ages[n] ?? 0)]));
        const begun = [...there].map(([userId, lastSeen]) => ({ userId, lastSeen }));
        await index.add(begun);
        const moved = new Set<string>();
        let time = NOW;
        let round = 0;
        const walked = await walk(limit, 0, async () => {
          for (const { who, how } of rounds[round++] ?? []) {
            const userId = `user-${who}`;
            moved.add(userId);
            if (how === 'erased') await redis.zrem(keys.seen(shardOf(userId)), userId);
            else await index.add([{ userId, lastSeen: ++time }]);
          }
        });
        const walkedIds = walked.map((each) => each.userId);
        expect(new Set(walkedIds).size, 'nobody twice').toBe(walkedIds.length);
        const still = begun.filter(({ userId }) => !moved.has(userId));
        expect(walked).toEqual(expect.arrayContaining(still));
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });
});

test('whoever was seen before a moment is dropped, everybody else stays', async () => {
  await index.add(people(40_000, (n) => NOW - (n % 2000)));
  expect(await index.prune(NOW - 10)).toBe(40_000 - 11 * 20);
  expect((await index.count(NOW, [0])).seen).toEqual([220]);
  expect(await index.prune(NOW - 10)).toBe(0);
});

describe('what can be told', () => {
  const stateOf = async () => {
    const { complete, held } = await index.state();
    return { complete, held };
  };

  test('is incomplete until it was completed for this very store', async () => {
    expect(await stateOf()).toEqual({ complete: false, held: false });
    await redis.set(keys.epoch(0), '5000 one');
    const { epoch, since } = await index.state();
    expect(since).toBe(5000);
    expect(await index.completedUpTo(epoch)).toBe('');
    await index.noteCompletedUpTo(epoch, 'bob');
    expect(await index.completedUpTo(epoch)).toBe('bob');
    expect(await stateOf()).toEqual({ complete: false, held: false });
    await index.markComplete(epoch);
    expect(await stateOf()).toEqual({ complete: true, held: false });
    expect(Object.keys(await redis.hgetall(keys.completed)), 'nobody’s id stays behind').toEqual(['epoch']);
    await redis.set(keys.epoch(0), '6000 two');
    expect(await stateOf()).toEqual({ complete: false, held: false });
    expect(await index.completedUpTo((await index.state()).epoch)).toBe('');
  });

  test('is held while Redis may not have heard of all heartbeats', async () => {
    const { now } = await index.state();
    await redis.set(keys.pulse(0), now);
    expect(await stateOf()).toMatchObject({ held: false });
    await redis.set(keys.pulse(0), now - 2000);
    expect(await stateOf()).toMatchObject({ held: true });
    await redis.set(keys.pulse(0), now);
    await redis.set(keys.hold(0), '1');
    expect(await stateOf()).toMatchObject({ held: true });
  });
});

test('every shard takes part', async () => {
  const all = people(400, (n) => NOW - n);
  await index.add(all);
  const sizes = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => redis.zcard(keys.seen(shard))));
  expect(Math.min(...sizes)).toBeGreaterThan(0);
  expect((await index.page(0, null, 1000)).users).toEqual(all);
});
