import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Fetch, mergeNewest, type Place, type Sighting } from '../../src/redis/newest-first.ts';

const SHARDS = Array.from({ length: 16 }, (_, shard) => shard);
const byNewest = (a: Sighting, b: Sighting) => b.lastSeen - a.lastSeen || (a.userId < b.userId ? 1 : -1);
const isAfter = (place: Place) => (each: Sighting) => each.userId !== place.userId && byNewest(place, each) < 0;

/** Shards in memory that note how much was read. */
function shardsOf(all: Sighting[], shardOf: (userId: string) => number) {
  const sorted = all.toSorted(byNewest);
  const read = { entries: 0, times: 0 };
  const fetch: Fetch = async (shard, from, count) => {
    const own = sorted.filter(({ userId }) => shardOf(userId) === shard);
    const found = (from === null ? own : own.filter(isAfter(from))).slice(0, count);
    read.entries += found.length;
    read.times++;
    return found;
  };
  return { sorted, fetch, read };
}

const sightings = fc.uniqueArray(fc.record({ userId: fc.stringMatching(/^[a-zA-Z:~]{1,3}$/), lastSeen: fc.nat(30) }), {
  selector: ({ userId }) => userId,
  maxLength: 120,
});

test('page by page everybody comes once, in order, however they are spread', async () => {
  const spread = fc.constantFrom<(userId: string) => number>(
    (userId) => (userId.codePointAt(0) ?? 0) % 16,
    () => 3,
    (userId) => (userId.length > 1 ? 1 : (userId.codePointAt(0) ?? 0) % 16),
  );
  const walk = fc.asyncProperty(sightings, spread, fc.integer({ min: 1, max: 50 }), async (all, shardOf, limit) => {
    const { sorted, fetch } = shardsOf(all, shardOf);
    const walked: Sighting[] = [];
    for (let after: Place | null = null; ; after = walked.at(-1) ?? null) {
      const page: Sighting[] = await mergeNewest(SHARDS, fetch, after, limit);
      walked.push(...page);
      if (page.length < limit) break;
    }
    expect(walked).toEqual(sorted);
  });
  await fc.assert(walk, { numRuns: 300 });
});

test('what is read is little more than what is answered', async () => {
  const all = Array.from({ length: 20_000 }, (_, n) => ({ userId: `user-${n}`, lastSeen: (n * 7919) % 20_011 }));
  const { fetch, read } = shardsOf(all, (userId) => Number(userId.slice(5)) % 16);
  await mergeNewest(SHARDS, fetch, null, 1000);
  expect(read.entries).toBeLessThan(1600);
  expect(read.times).toBeLessThan(24);
});
