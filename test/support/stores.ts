import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { type PostgresOptions, startPostgres } from '../../scripts/embedded/postgres.ts';
import { type RedisOptions, startRedis } from '../../scripts/embedded/redis.ts';
import type { EmbeddedPostgres, EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { templateDatabase } from './global-setup.ts';
import { migrate } from './migrate.ts';
import { RedisCluster } from './redis-cluster.ts';

/** A room of one's own in the run's shared stores: a key prefix and a freshly migrated database. */
export interface TestStores {
  redisUrl: string;
  /** Whether that is a Redis Cluster, whose nodes `redisUrl` lists. */
  redisCluster: boolean;
  /** The settings that lead to it by Sentinels, of which REDIS_URL is one; null: it has none. */
  redisSentinels: Record<string, string> | null;
  /** For the processes of a deployment, where they are to log in as another user than the tests. */
  redisUserUrl: string | null;
  /** For REDIS_PREFIX; ends with a colon. */
  redisPrefix: string;
  databaseUrl: string;
  /** Drops the database, cutting off who is still connected. Keys stay until the run's end: nothing is flushed. */
  close(): Promise<void>;
}

/** `name` is for the reader of keys and database lists; two files may use the same one. */
export async function openTestStores(name: string): Promise<TestStores> {
  const { redisUrl, redisCluster, redisSentinels, redisUserUrl, postgresUrl, poolerUrl } = inject('sharedStores');
  const room = `${name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, 40)}_${randomBytes(4).toString('hex')}`;
  await administer(postgresUrl, `CREATE DATABASE ${room} TEMPLATE ${templateDatabase}`);
  const databaseUrl = new URL(poolerUrl ?? postgresUrl);
  databaseUrl.pathname = `/${room}`;
  return {
    redisUrl,
    redisCluster,
    redisSentinels,
    redisUserUrl,
    redisPrefix: `${room}:`,
    databaseUrl: databaseUrl.href,
    close: () => administer(postgresUrl, `DROP DATABASE IF EXISTS ${room} WITH (FORCE)`),
  };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A Redis that the test may kill, freeze, empty and restart. It keeps its data over restarts unless told otherwise. */
export function privateRedis(options: RedisOptions = {}): Promise<EmbeddedRedis> {
  return startRedis({ appendonly: true, ...options });
}

/** What a test may do to a Redis of its own, be it one server or all those of a cluster. */
export type OwnRedis = Pick<EmbeddedRedis, 'url' | 'start' | 'shutdown' | 'kill' | 'stop'>;

/** A Redis of the test's own: one server, or with TEST_REDIS=cluster a cluster. */
export function ownRedis(): Promise<OwnRedis> {
  return inject('sharedStores').redisCluster ? RedisCluster.start() : privateRedis();
}

/** A PostgreSQL that the test may kill, freeze and restart, with one migrated database. */
export async function privatePostgres(
  options: PostgresOptions = {},
): Promise<{ postgres: EmbeddedPostgres; databaseUrl: string }> {
  const postgres = await startPostgres(options);
  try {
    const databaseUrl = await postgres.createDatabase('rollcall');
    await migrate(databaseUrl);
    return { postgres, databaseUrl };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}
