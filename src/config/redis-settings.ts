import { isIPv6 } from 'node:net';
import { BARE_PERCENT, type Environment, isDecodable, isUrl } from './environment.ts';

/** Who is asked where the primary is. */
export interface SentinelSettings {
  nodes: { host: string; port: number }[];
  /** What the Sentinels call the primary that they watch. */
  master: string;
  /** What they themselves want to hear; null: nothing. */
  password: string | null;
}

export interface RedisConfig {
  /** One address, or several nodes of a cluster. With Sentinels its host stands for nothing. */
  redisUrls: [string, ...string[]];
  redisPrefix: string;
  redisCluster: boolean;
  /** null: the address is that of the Redis itself. */
  redisSentinels: SentinelSettings | null;
  redisTlsRejectUnauthorized: boolean;
}

/** How Redis is reached; undefined where that is not known, which is noted as a problem. */
export function readRedis(from: Environment): RedisConfig | undefined {
  const redisCluster = from.flag('REDIS_CLUSTER', false);
  const redisUrls = readUrls(from, redisCluster);
  const rest = {
    redisPrefix: readPrefix(from),
    redisCluster,
    redisSentinels: readSentinels(from, redisCluster),
    redisTlsRejectUnauthorized: from.flag('REDIS_TLS_REJECT_UNAUTHORIZED', true),
  };
  return redisUrls && { redisUrls, ...rest };
}

/** Nodes after the first may leave out the scheme and the password: `rediss://:secret@a:6379,b:6379`. */
function readUrls(from: Environment, cluster: boolean): RedisConfig['redisUrls'] | undefined {
  const [first, ...others] = from.list('REDIS_URL');
  if (first === undefined) {
    from.problem('REDIS_URL', 'is required');
    return undefined;
  }
  const stem = /^\w+:\/\/(?:[^@/]*@)?/.exec(first)?.[0] ?? '';
  const urls: RedisConfig['redisUrls'] = [first, ...others.map((node) => (node.includes('://') ? node : stem + node))];
  // Behind the first comma comes another node, and that begins with no part of a password.
  if (!first.includes('@') && others.some((node) => node.includes('@') && !node.includes('://'))) {
    from.problem('REDIS_URL', 'holds a comma in its name or password, where it is written %2C');
  } else if (!urls.every((url) => isUrl(url, ['redis:', 'rediss:']))) {
    from.problem('REDIS_URL', 'must be an address that begins with redis:// or rediss://');
  } else if (!urls.every(isDecodable)) {
    from.problem('REDIS_URL', BARE_PERCENT);
  } else if (urls.length > 1 && !cluster) {
    from.problem('REDIS_URL', 'may list several nodes only with REDIS_CLUSTER=true');
  }
  return urls;
}

/** Braces would move the hash tag of a cluster; the rest is what a pattern of keys would take for a wildcard. */
function readPrefix(from: Environment): string {
  const prefix = from.text('REDIS_PREFIX') ?? '';
  if (/[\s{}*?[\]\\]/.test(prefix)) from.problem('REDIS_PREFIX', 'may not contain spaces or any of { } * ? [ ] \\');
  return prefix;
}

const SENTINEL_PORT = 26_379;

function readSentinels(from: Environment, cluster: boolean): SentinelSettings | null {
  const entries = from.list('REDIS_SENTINELS');
  const master = from.text('REDIS_SENTINEL_MASTER');
  const password = from.secret('REDIS_SENTINEL_PASSWORD') ?? null;
  if (entries.length === 0) {
    if (master !== undefined || password !== null) {
      from.problem('REDIS_SENTINELS', 'is required where REDIS_SENTINEL_MASTER or REDIS_SENTINEL_PASSWORD is set');
    }
    return null;
  }
  const nodes = entries.flatMap((entry) => readNode(entry) ?? []);
  if (nodes.length < entries.length) {
    // Not quoted: somebody may have written a password there.
    from.problem(
      'REDIS_SENTINELS',
      'must list the Sentinels as host:port by commas, without a scheme or a password; an IPv6 address stands in brackets, [::1]:26379',
    );
  }
  if (cluster) from.problem('REDIS_SENTINELS', 'does not go with REDIS_CLUSTER=true: a cluster has no Sentinels');
  if (master === undefined) {
    from.problem(
      'REDIS_SENTINEL_MASTER',
      'is required where REDIS_SENTINELS is set: what they call the Redis they watch',
    );
  }
  return { nodes, master: master ?? '', password };
}

/** `host:port`, or a host alone. */
function readNode(entry: string): SentinelSettings['nodes'][number] | null {
  const [, bracketed, name, digits] = /^(?:\[([^\]]*)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  const port = digits === undefined ? SENTINEL_PORT : Number(digits);
  const host = bracketed ?? name ?? '';
  const known = bracketed === undefined ? host !== '' : isIPv6(host);
  return known && port > 0 && port < 65_536 ? { host, port } : null;
}
