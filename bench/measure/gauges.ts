import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Keys, SHARDS } from '../../src/redis/keys.ts';
import { Outbox } from '../../src/redis/outbox.ts';

const EVERY_MS = 1000;
/** So many of a shard are looked at; before all others stand those who fell silent or are leaving. */
const EARLIEST = 40;

/** In ms, the worst of some time: how late heartbeats are, and the oldest entry that is still to be told, and to be recorded. */
export interface Gauges {
  behindMs: number;
  deliverMs: number;
  recordMs: number;
}

interface Deployment {
  redis: Redis;
  keys: Keys;
  ttlSeconds: number;
  intervalSeconds: number;
  population: { isHere(userId: string): boolean };
}

/** Reads them again and again while some work goes on. */
export async function gaugesDuring(deployment: Deployment, work: Promise<unknown>): Promise<Gauges> {
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  // It may fail while something else is waited for.
  end.catch(() => {});
  const worst: Gauges = { behindMs: 0, deliverMs: 0, recordMs: 0 };
  while (!done) {
    const now = await readGauges(deployment);
    for (const name of ['behindMs', 'deliverMs', 'recordMs'] as const) worst[name] = Math.max(worst[name], now[name]);
    await Promise.race([pause(EVERY_MS), end]);
  }
  await end;
  return worst;
}

async function readGauges(deployment: Deployment): Promise<Gauges> {
  const [deliver, record] = await new Outbox(deployment.redis, deployment.keys).waiting();
  return {
    behindMs: await heartbeatsBehind(deployment),
    deliverMs: deliver?.oldestMs ?? 0,
    recordMs: record?.oldestMs ?? 0,
  };
}

/** By how much the earliest deadline is nearer than it may be where every heartbeat comes in time; Redis's clock is this machine's. */
export async function heartbeatsBehind(deployment: Deployment): Promise<number> {
  const { redis, keys, ttlSeconds, intervalSeconds, population } = deployment;
  let earliest = Number.POSITIVE_INFINITY;
  for (let shard = 0; shard < SHARDS; shard++) {
    const flat = await redis.zrange(keys.due(shard), '0', String(EARLIEST - 1), 'WITHSCORES');
    const place = flat.findIndex((word, n) => n % 2 === 0 && population.isHere(word));
    if (place >= 0) earliest = Math.min(earliest, Number(flat[place + 1]));
  }
  return Math.max(0, (ttlSeconds - intervalSeconds) * 1000 - (earliest - Date.now()));
}
