import { Cluster } from 'ioredis';
import type { RedisClient } from './connect.ts';
import { runScript } from './scripts.ts';

/**
 * Redis's time in ms: in a cluster that of the node which has this key, whose clock judges what the key holds. (A plain
 * TIME goes to any node there, also to one that is away.)
 */
export async function timeOf(redis: RedisClient, key: string): Promise<number> {
  const [seconds, micros] = redis instanceof Cluster ? await runScript(redis, 'time', [key], []) : await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
