import type { Knex } from 'knex';
import type { Config } from './config.ts';
import type { Logger } from './log.ts';
import type { StoreFigures } from './metrics.ts';
import { connectPostgres } from './postgres/connect.ts';
import { Queues } from './queues/queues.ts';
import { ActiveIndex } from './redis/active-index.ts';
import { Alerts } from './redis/alerts.ts';
import { RedisClock } from './redis/clock.ts';
import { connectRedis, isRedisAway, type RedisClient, type Temper } from './redis/connect.ts';
import { Indicators } from './redis/indicators.ts';
import { createKeys, type Keys } from './redis/keys.ts';
import { Memberships } from './redis/memberships.ts';
import { Outbox } from './redis/outbox.ts';
import { PresenceStore } from './redis/presence-store.ts';
import { PrivacyCache } from './redis/privacy-cache.ts';
import { Pulse } from './redis/pulse.ts';
import { PushPlaces } from './redis/push-places.ts';
import { SeenIndex } from './redis/seen-index.ts';
import { NO_TRACING, type Tracing } from './tracing.ts';

/** Every connection meets a node that is away, again and again; one line a minute says enough. */
const QUIET_ABOUT_NODE_MS = 60_000;

/** The stores and queues of a process. */
export interface Services {
  redis: RedisClient;
  keys: Keys;
  clock: RedisClock;
  pulse: Pulse;
  store: PresenceStore;
  privacy: PrivacyCache;
  outbox: Outbox;
  index: ActiveIndex;
  seen: SeenIndex;
  indicators: Indicators;
  memberships: Memberships;
  alerts: Alerts;
  pushPlaces: PushPlaces;
  db: Knex;
  queues: Queues;
  tracing: Tracing;
  /** A further connection, closed by whoever asked for it. */
  connectRedis(temper: Temper): RedisClient;
  close(): Promise<void>;
}

/** Opens Redis, PostgreSQL and the queues. Returns at once: each may be away, and each comes back by itself. */
export function openServices(config: Config, log: Logger, tracing: Tracing = NO_TRACING): Services {
  const settings = {
    urls: config.redisUrls,
    cluster: config.redisCluster,
    tlsRejectUnauthorized: config.redisTlsRejectUnauthorized,
  };
  let reachable = true;
  const quietAbout = new Map<string, number>();
  const connect = (temper: Temper) => {
    const client = connectRedis(settings, temper);
    client.on('error', (error: Error) => {
      if (reachable) log.warn({ reason: error.message }, 'Redis is out of reach; trying again until it is back');
      reachable = false;
    });
    client.on('ready', () => {
      if (!reachable) log.info('Redis is back');
      reachable = true;
    });
    client.on('node error', (error: Error, node: string) => {
      const now = performance.now();
      if (now < (quietAbout.get(node) ?? 0)) return;
      quietAbout.set(node, now + QUIET_ABOUT_NODE_MS);
      log.warn({ reason: error.message, node }, 'A node of the Redis Cluster does not answer');
    });
    return client;
  };

  const redis = connect('prompt');
  // BullMQ's commands are counted apart from ours: its scripts must not stand in the way of a heartbeat.
  const producers = connect('prompt');
  const keys = createKeys(config.redisPrefix, config.redisCluster);
  const clock = new RedisClock(keys.places.length);
  const pulse = new Pulse(redis, keys, clock);
  const db = connectPostgres(config, log);
  const complain = (error: Error) => {
    if (!isRedisAway(error)) log.error({ err: error }, 'A queue failed');
  };
  const queues = new Queues(producers, keys, complain, config.timeoutQueues, tracing);
  const indicators = new Indicators(redis, keys, clock, tracing);
  const memberships = new Memberships(redis, keys, indicators);
  pulse.onBack((shards, first) => {
    if (!first) memberships.distrust(shards);
  });
  pulse.start();

  return {
    redis,
    keys,
    clock,
    pulse,
    store: new PresenceStore(redis, keys, clock, config.ttlMs, tracing),
    privacy: new PrivacyCache(redis, keys, clock, config.ttlMs, tracing),
    outbox: new Outbox(redis, keys),
    index: new ActiveIndex(redis, keys),
    seen: new SeenIndex(redis, keys),
    indicators,
    memberships,
    alerts: new Alerts(redis, keys, config.ttlMs, tracing),
    pushPlaces: new PushPlaces(redis, keys),
    db,
    queues,
    tracing,
    connectRedis: connect,
    close: async () => {
      await pulse.stop();
      await queues.close().catch(() => {});
      redis.disconnect();
      producers.disconnect();
      await db.destroy();
    },
  };
}

/** For the metrics: what the stores hold and what waits in them. */
export async function readStoreFigures({ index, queues, outbox }: Services): Promise<StoreFigures> {
  const [activeUsers, queueFigures, outboxFigures] = await Promise.all([
    index.count(),
    queues.figures(),
    outbox.waiting(),
  ]);
  return { activeUsers, queues: queueFigures, outbox: outboxFigures };
}
