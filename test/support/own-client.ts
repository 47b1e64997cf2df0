import { Cluster, Redis } from 'ioredis';
import type { RedisClient } from '../../src/redis/connect.ts';
import { createKeys, shardOf } from '../../src/redis/keys.ts';

/** The test's own connection to the Redis of a deployment with these settings. */
export function openRedis(env: Readonly<Record<string, string>>): RedisClient {
  const { REDIS_URL = '', REDIS_CLUSTER, REDIS_SENTINELS, REDIS_SENTINEL_MASTER, REDIS_SENTINEL_PASSWORD } = env;
  if (REDIS_CLUSTER === 'true') return openCluster(REDIS_URL);
  const sentinels = REDIS_SENTINELS?.split(',').map((node) => {
    const { hostname: host, port } = new URL(`redis://${node}`);
    return { host, port: Number(port) };
  });
  return new Redis(REDIS_URL, {
    maxRetriesPerRequest: null,
    ...(sentinels ? { sentinels, name: REDIS_SENTINEL_MASTER, sentinelPassword: REDIS_SENTINEL_PASSWORD } : {}),
  });
}

/** Emptying and listing concern all of its masters, and keys may be deleted wherever they are. */
function openCluster(urls: string): Cluster {
  const [first = '', ...others] = urls.split(',');
  const { password } = new URL(first);
  const cluster = new Cluster([first, ...others.map((node) => `redis://${node}`)], {
    redisOptions: { maxRetriesPerRequest: null, ...(password ? { password } : {}) },
    slotsRefreshInterval: 1000,
  });
  const masters = () => cluster.nodes('master');
  const del = cluster.del.bind(cluster) as (key: string) => Promise<number>;
  return Object.assign(cluster, {
    del: async (...keys: (string | string[])[]) =>
      (await Promise.all(keys.flat().map((key) => del(key)))).reduce((sum, count) => sum + count, 0),
    flushall: async () => {
      await Promise.all(masters().map((node) => node.flushall()));
      return 'OK' as const;
    },
    keys: async (pattern: string) => (await Promise.all(masters().map((node) => node.keys(pattern)))).flat(),
  });
}

/** A key as `docs/architecture.md` names it for a single Redis, with the hash tag that it has in a cluster. */
export function inCluster(name: string): string {
  const { queuePrefix } = createKeys('', true);
  return name
    .replace(/^((?:user|conversation):[a-z_]+):(.+)$/, (_, kind, id) => `${kind}:{s${shardOf(id)}}:${id}`)
    .replace(/^(presence:[a-z-]+):(s\d+)$/, '$1:{$2}')
    .replace(/^bull:([a-z-]+):/, (_, queue) => `${queuePrefix(queue)}:${queue}:`);
}
