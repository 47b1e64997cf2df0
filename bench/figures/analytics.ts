import { Redis } from 'ioredis';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';
import { SeenIndex } from '../../src/redis/seen-index.ts';
import type { Figure, Scale } from '../measure/figure.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const RECENT = 1000;
const CALLS = 400;
/** The cheapest counts: what else the machine does only makes it dearer. */
const ROUNDS = 3;
const PIPELINE = 10_000;
const MINUTE = 60_000;
const MONTH_MINUTES = 43_200;

/**
 * What a question about who was active within X minutes costs Redis (CPU, main thread), in an index of ten thousand, a
 * hundred thousand and a million users of whom a thousand were seen in the last minute and are active, the others at
 * some time in the last 30 days.
 */
export const analytics: Figure = {
  title: 'Redis CPU of a question about the active',
  seconds: { full: 60, quick: 40 },
  measure: async (scale) => ({
    rows: [],
    tables: { 'µs of Redis CPU a question, by users in the index': await ask(scale) },
  }),
};

async function ask(scale: Scale) {
  const rows: Record<string, number>[] = [];
  for (const users of scale.pick(SIZES, SIZES.slice(0, 2))) {
    const server = await startRedis();
    const redis = new Redis(server.url);
    try {
      rows.push(await measure(redis, users));
    } finally {
      redis.disconnect();
      await server.stop();
    }
  }
  return rows;
}

async function measure(redis: Redis, users: number): Promise<Record<string, number>> {
  const index = new SeenIndex(redis, createKeys('', false));
  const before = await used(redis, 'memory', 'used_memory');
  const { now } = await index.state();
  await fill(redis, users, now);
  const bytes = (await used(redis, 'memory', 'used_memory')) - before;
  const since = (minutes: number) => now - minutes * MINUTE;
  const inTheMiddle = { lastSeen: since(MONTH_MINUTES / 2), userId: 'user-0' };
  const month = since(MONTH_MINUTES);
  const cost = async (ask: () => Promise<unknown>) => {
    await ask();
    const micros: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const from = await cpuMicros(redis);
      for (let n = 0; n < CALLS; n++) await ask();
      micros.push(Math.round(((await cpuMicros(redis)) - from) / CALLS));
    }
    return Math.min(...micros);
  };
  return {
    users,
    bytesPerUser: Math.round(bytes / users),
    within1: await cost(() => index.count(now, [since(1)])),
    within1to60: await cost(() => index.count(now, [1, 5, 15, 60].map(since))),
    within30days: await cost(() => index.count(now, [month])),
    state: await cost(() => index.state()),
    list100: await cost(() => index.page(since(1), null, 100)),
    list1000: await cost(() => index.page(month, null, 1000)),
    list100InTheMiddle: await cost(() => index.page(month, inTheMiddle, 100)),
  };
}

async function fill(redis: Redis, users: number, now: number): Promise<void> {
  const keys = createKeys('', false);
  for (let from = 0; from < users; from += PIPELINE) {
    const seen = new Map<number, (number | string)[]>();
    const due = new Map<number, (number | string)[]>();
    for (let n = from; n < Math.min(users, from + PIPELINE); n++) {
      const userId = `user-${n}`;
      const shard = shardOf(userId);
      const age = n < RECENT ? Math.random() * MINUTE : MINUTE + Math.random() * (MONTH_MINUTES - 1) * MINUTE;
      seen.set(shard, [...(seen.get(shard) ?? []), Math.round(now - age), userId]);
      if (n < RECENT) due.set(shard, [...(due.get(shard) ?? []), now + MINUTE, userId]);
    }
    const pipeline = redis.pipeline();
    for (const [shard, pairs] of seen) pipeline.zadd(keys.seen(shard), ...pairs);
    for (const [shard, pairs] of due) pipeline.zadd(keys.due(shard), ...pairs);
    await pipeline.exec();
  }
}

async function cpuMicros(redis: Redis): Promise<number> {
  const user = await used(redis, 'cpu', 'used_cpu_user_main_thread');
  return (user + (await used(redis, 'cpu', 'used_cpu_sys_main_thread'))) * 1_000_000;
}

async function used(redis: Redis, section: string, name: string): Promise<number> {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(await redis.info(section))?.[1]);
}
