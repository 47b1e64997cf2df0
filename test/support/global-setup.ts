import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { migrate } from './migrate.ts';
import { RedisCluster } from './redis-cluster.ts';
import { RedisSentinels } from './redis-sentinels.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the run's one Redis and one PostgreSQL. */
    sharedStores: {
      redisUrl: string;
      redisCluster: boolean;
      /** The settings that lead to that Redis by its Sentinels; null: there are none. */
      redisSentinels: Record<string, string> | null;
      postgresUrl: string;
    };
  }
}

/** The migrated database of which every test file gets a copy. Nobody may stay connected to it. */
export const templateDatabase = 'rollcall_template';

/**
 * One private Redis and one private PostgreSQL for the whole run; test/support/stores.ts gives each file its room. With
 * TEST_REDIS=cluster the Redis is a cluster of three masters, with TEST_REDIS=sentinel a primary and a replica with three Sentinels.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redisCluster = process.env.TEST_REDIS === 'cluster';
  const [redis, postgres] = await Promise.all([sharedRedis(), startPostgres()]);
  const stop = async () => {
    await Promise.all([redis.stop(), postgres.stop()]);
  };
  try {
    await migrate(await postgres.createDatabase(templateDatabase));
  } catch (error) {
    await stop();
    throw error;
  }
  const redisSentinels = redis instanceof RedisSentinels ? redis.env : null;
  project.provide('sharedStores', { redisUrl: redis.url, redisCluster, redisSentinels, postgresUrl: postgres.url });
  return stop;
}

function sharedRedis() {
  if (process.env.TEST_REDIS === 'cluster') return RedisCluster.start();
  return process.env.TEST_REDIS === 'sentinel' ? RedisSentinels.start() : startRedis();
}
