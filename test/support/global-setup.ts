import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { migrate } from './migrate.ts';
import { RedisCluster } from './redis-cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the run's one Redis and one PostgreSQL. */
    sharedStores: { redisUrl: string; redisCluster: boolean; postgresUrl: string };
  }
}

/** The migrated database of which every test file gets a copy. Nobody may stay connected to it. */
export const templateDatabase = 'rollcall_template';

/**
 * One private Redis and one private PostgreSQL for the whole run; test/support/stores.ts gives each file its room. With
 * TEST_REDIS=cluster the Redis is a cluster of three masters.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redisCluster = process.env.TEST_REDIS === 'cluster';
  const [redis, postgres] = await Promise.all([redisCluster ? RedisCluster.start() : startRedis(), startPostgres()]);
  const stop = async () => {
    await Promise.all([redis.stop(), postgres.stop()]);
  };
  try {
    await migrate(await postgres.createDatabase(templateDatabase));
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide('sharedStores', { redisUrl: redis.url, redisCluster, postgresUrl: postgres.url });
  return stop;
}
