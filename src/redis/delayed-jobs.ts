import type { RedisClient } from './connect.ts';
import { runScript } from './scripts.ts';

/**
 * Removes jobs of one queue of BullMQ that wait for their time and have neither logs nor children, in one call: `delayed` is the queue's key of
 * those, each job has its id and key. Returns the ids of those that do not wait. Rejects with ioredis's errors where Redis is away.
 */
export async function removeDelayedJobs(
  redis: RedisClient,
  delayed: string,
  jobs: readonly { id: string; key: string }[],
): Promise<string[]> {
  const keys = [delayed, ...jobs.map(({ key }) => key)];
  return (
    await runScript(
      redis,
      'remove-jobs',
      keys,
      jobs.map(({ id }) => id),
    )
  ).map(String);
}
