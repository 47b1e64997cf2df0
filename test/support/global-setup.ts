import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { migrate } from './migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the run's one Redis and one PostgreSQL. */
    sharedStores: { redisUrl: string; postgresUrl: string };
  }
}

/** The migrated database of which every test file gets a copy. Nobody may stay connected to it. */
export const templateDatabase = 'rollcall_template';

/** One private Redis and one private PostgreSQL for the whole run; test/support/stores.ts gives each file its room. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  const stop = async () => {
    await Promise.all([redis.stop(), postgres.stop()]);
  };
  try {
    await migrate(await postgres.createDatabase(templateDatabase));
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide('sharedStores', { redisUrl: redis.url, postgresUrl: postgres.url });
  return stop;
}
