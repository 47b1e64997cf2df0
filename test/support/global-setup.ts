import { writeFile } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { startPgBouncer } from '../../scripts/embedded/pgbouncer.ts';
import { startPostgres } from '../../scripts/embedded/postgres.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { NODE_COMPILE_CACHE } from './compile-cache.ts';
import { migrate } from './migrate.ts';
import type { ProxyName } from './proxies.ts';
import { RedisCluster } from './redis-cluster.ts';
import { giveRights, refusedTo } from './redis-rights.ts';
import { RedisSentinels } from './redis-sentinels.ts';
import { versionsOf } from './versions.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the run's one Redis and one PostgreSQL. */
    sharedStores: {
      redisUrl: string;
      redisCluster: boolean;
      /** The settings that lead to that Redis by its Sentinels; null: there are none. */
      redisSentinels: Record<string, string> | null;
      /** Where the processes of a deployment log in to Redis, if not as the tests do. */
      redisUserUrl: string | null;
      postgresUrl: string;
      /** The same PostgreSQL by way of a pooler; null: there is none. */
      poolerUrl: string | null;
      /** What stands before the webs of a deployment. */
      proxy: ProxyName | null;
    };
  }
}

/** The migrated database of which every test file gets a copy. Nobody may stay connected to it. */
export const templateDatabase = 'rollcall_template';

/**
 * One private Redis and one private PostgreSQL for the whole run; test/support/stores.ts gives each file its room. With
 * TEST_REDIS=cluster the Redis is a cluster of three masters, with TEST_REDIS=sentinel a primary and a replica with three
 * Sentinels, and with TEST_REDIS=rights the processes log in to it as the user of the operations guide. With
 * TEST_POOLER=transaction or session a PgBouncer stands between, with TEST_PROXY=nginx, haproxy or caddy that before the webs.
 * TEST_VERSIONS names a file for what the servers say of their versions.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { TEST_REDIS, TEST_POOLER, TEST_PROXY, TEST_VERSIONS } = process.env;
  const [redis, postgres] = await Promise.all([sharedRedis(), startPostgres(), keepCompiled()]);
  const stopStores = async () => {
    await Promise.all([redis.stop(), postgres.stop()]);
  };
  try {
    await migrate(await postgres.createDatabase(templateDatabase));
    if (TEST_VERSIONS) await writeFile(TEST_VERSIONS, JSON.stringify(await versionsOf(redis.url, postgres.url)));
    const mode = TEST_POOLER === 'session' || TEST_POOLER === 'transaction' ? TEST_POOLER : undefined;
    const pooler = mode && (await startPgBouncer(postgres.url, { mode }));
    project.provide('sharedStores', {
      redisUrl: redis.url,
      redisCluster: TEST_REDIS === 'cluster',
      redisSentinels: redis instanceof RedisSentinels ? redis.env : null,
      redisUserUrl: TEST_REDIS === 'rights' ? await giveRights(redis.url) : null,
      postgresUrl: postgres.url,
      poolerUrl: pooler?.through(postgres.url) ?? null,
      proxy: (TEST_PROXY as ProxyName | undefined) ?? null,
    });
    return async () => {
      if (TEST_REDIS === 'rights') tell(await refusedTo(redis.url));
      await pooler?.stop();
      await stopStores();
    };
  } catch (error) {
    await stopStores();
    throw error;
  }
}

/** Most processes of the tests are killed, and only one that ends by itself keeps what it compiled for those after it. */
async function keepCompiled(): Promise<void> {
  const modules = ['./src/web/start.ts', './workers/start.ts'];
  await run(
    process.execPath,
    ['--input-type=module', '--eval', `${modules.map((name) => `await import('${name}');`).join('')}process.exit()`],
    {
      env: { ...process.env, NODE_COMPILE_CACHE },
    },
  );
}

function sharedRedis() {
  if (process.env.TEST_REDIS === 'cluster') return RedisCluster.start();
  return process.env.TEST_REDIS === 'sentinel' ? RedisSentinels.start() : startRedis();
}

function tell(refused: string[]): void {
  if (refused.length === 0) return;
  console.error(`Refused to the user of the operations guide: ${refused.join(', ')}`);
  // What a teardown throws is printed by Vitest and forgotten.
  process.exitCode = 1;
}
