import type { Redis } from 'ioredis';
import type pg from 'pg';
import type { Finding } from './checks.ts';
import type { Circle } from './circle.ts';

/** Queues are cleared of an erased user after ten seconds. */
const ERASED_WITHIN_MS = 12_000;

/**
 * Of who was erased nothing is left, whatever happened meanwhile; and of who came back, or was named again, once they are
 * erased in peace.
 */
export async function judgeErasures(circle: Circle): Promise<Finding[]> {
  const found = await leftOf(circle, circle.gone);
  for (const person of circle.passing) await circle.erase(person);
  const names = circle.passing.map(({ userId }) => userId);
  return [...found, ...(await leftOf(circle, names))];
}

async function leftOf({ world }: Circle, userIds: string[]): Promise<Finding[]> {
  const client = await world.connectPostgres();
  const redis = world.inspector();
  try {
    const from = Date.now();
    for (;;) {
      const traces = await tracesOf(client, redis, userIds);
      const isTime = Date.now() - from - world.machine.taken(from, Date.now()) < ERASED_WITHIN_MS;
      if (traces.length === 0 || !isTime) return traces.map((text) => ({ kind: 'erased', text }));
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    redis.disconnect();
    await client.end();
  }
}

/**
 * Where the stores name somebody and will go on doing so: rows, and in Redis what never ends. What ends by itself, and
 * streams, which are trimmed, are left out.
 */
async function tracesOf(client: pg.Client, redis: Redis, userIds: readonly string[]): Promise<string[]> {
  if (userIds.length === 0) return [];
  return [...(await inPostgres(client, userIds)), ...(await inRedis(redis, userIds))];
}

async function inPostgres(client: pg.Client, userIds: readonly string[]): Promise<string[]> {
  const traces: string[] = [];
  const { rows } = await client.query(
    `SELECT table_name AS name FROM information_schema.tables
      WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name !~ '^(changes|change_feed)'`,
  );
  for (const { name } of rows) {
    for (const userId of userIds) {
      const found = await client.query(`SELECT t::text AS row FROM ${name} t WHERE position($1 IN t::text) > 0`, [
        userId,
      ]);
      for (const { row } of found.rows) traces.push(`PostgreSQL, ${name}: ${row}`);
    }
  }
  return traces;
}

async function inRedis(redis: Redis, userIds: readonly string[]): Promise<string[]> {
  const traces: string[] = [];
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 500);
    cursor = next;
    for (const key of keys) {
      const text = `${key} ${JSON.stringify(await contentOf(redis, key))}`;
      const named = userIds.find((userId) => text.includes(userId));
      if (named === undefined || (await redis.pttl(key)) > 0) continue;
      traces.push(`Redis, ${named} in ${key}`);
    }
  } while (cursor !== '0');
  return traces;
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'list':
      return redis.lrange(key, 0, -1);
    default:
      return null;
  }
}
