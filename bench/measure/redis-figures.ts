import type { Redis } from 'ioredis';

/** In bytes. */
export async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

/** From now on keeps what takes longer. */
export async function noteSlow(redis: Redis, ms: number): Promise<void> {
  await redis.config('SET', 'slowlog-log-slower-than', String(ms * 1000));
  await redis.slowlog('RESET');
}

/** What was kept, the slowest first: how long it took (ms), and how it begins. */
export async function slowest(redis: Redis): Promise<{ ms: number; what: string }[]> {
  const entries = (await redis.slowlog('GET', 128)) as [number, number, number, string[]][];
  const found = entries.map(([, , micros, words]) => ({ ms: micros / 1000, what: words.slice(0, 4).join(' ') }));
  return found.sort((a, b) => b.ms - a.ms);
}
