import { Cluster, type Redis } from 'ioredis';
import type { RedisClient } from './connect.ts';

/** Something about the server that operators should know; `refuse`: nothing can work with it. */
export interface Finding {
  kind: 'sentinel' | 'cluster' | 'replica' | 'version' | 'policy' | 'persistence' | 'unknown';
  weight: 'refuse' | 'warn' | 'info';
  /** What is the matter, and what to do. */
  text: string;
}

/** What a server says of itself; null where it does not say. */
export interface ServerFacts {
  /** As INFO tells them. */
  info: ReadonlyMap<string, string> | null;
  /** Of CONFIG: when a snapshot is taken. */
  save: string | null;
}

const OLDEST = [6, 2] as const;

/** What of a server's own words does not fit; `cluster`: whether it is to be a node of one. */
export function judgeServer({ info, save }: ServerFacts, cluster: boolean): Finding[] {
  if (info === null) {
    const text = 'Redis does not tell its version, maxmemory-policy and persistence; see to them by docs/operations.md';
    return [{ kind: 'unknown', weight: 'info', text }];
  }
  const mode = info.get('redis_mode');
  if (mode === 'sentinel') {
    const text =
      'REDIS_URL leads to a Sentinel, which keeps nothing itself: list it in REDIS_SENTINELS, with what it calls the Redis that it watches in REDIS_SENTINEL_MASTER';
    return [{ kind: 'sentinel', weight: 'warn', text }];
  }
  const found: Finding[] = [];
  if (mode === 'cluster' && !cluster) {
    found.push({
      kind: 'cluster',
      weight: 'warn',
      text: 'REDIS_URL leads to a node of a Redis Cluster: set REDIS_CLUSTER=true',
    });
  }
  if (info.get('role') === 'slave') {
    found.push({
      kind: 'replica',
      weight: 'warn',
      text: 'REDIS_URL leads to a replica, which takes no writes: name the primary, or in REDIS_SENTINELS those who know which it is',
    });
  }
  const version = info.get('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version !== '' && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) {
    found.push({
      kind: 'version',
      weight: 'refuse',
      text: `Redis ${version} is too old: ${OLDEST.join('.')} is the oldest that works`,
    });
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    const text = `maxmemory-policy of Redis is ${policy}: once it is full it drops sessions and jobs in silence. Set noeviction`;
    found.push({ kind: 'policy', weight: 'warn', text });
  }
  if (info.get('aof_enabled') === '0' && save === '') {
    const text =
      'Redis keeps nothing on disk: its restart loses jobs and what was not recorded yet. Set appendonly yes, unless a replica takes over';
    found.push({ kind: 'persistence', weight: 'warn', text });
  }
  return found;
}

/** Asks a server, of a cluster one of its masters, what it is. Rejects where it cannot be reached; may be refused. */
export async function inspectRedis(redis: RedisClient): Promise<Finding[]> {
  const isCluster = redis instanceof Cluster;
  const node = isCluster ? redis.nodes('master')[0] : redis;
  return node ? judgeServer(await factsOf(node), isCluster) : [];
}

async function factsOf(node: Redis): Promise<ServerFacts> {
  const info = await refusable(node.info());
  // Of those who offer Redis as a service many let nobody ask.
  const config = await refusable(node.config('GET', 'save') as Promise<unknown>);
  const save = Array.isArray(config) && typeof config[1] === 'string' ? config[1] : null;
  return { info: info ? parsed(info) : null, save };
}

/** null: the server does not answer that. */
async function refusable<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return null;
    throw error;
  }
}

function parsed(info: string): Map<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
