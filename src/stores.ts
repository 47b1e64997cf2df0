import type { Knex } from 'knex';
import type { Config } from './config/config.ts';
import { type Service, serviceOf } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { connectPostgres } from './postgres/connect.ts';
import { PostgresWatch } from './postgres/watch.ts';
import { Queues } from './queues/queues.ts';
import { type Absence, isRedisAway } from './redis/absence.ts';
import { Alerts } from './redis/alerts.ts';
import { RedisClock } from './redis/clock.ts';
import { connectRedis, disconnected, type RedisClient, type Temper } from './redis/connect.ts';
import { DeadlineIndex } from './redis/deadline-index.ts';
import { DelayedJobs } from './redis/delayed-jobs.ts';
import { Indicators } from './redis/indicators.ts';
import { createKeys, type Keys } from './redis/keys.ts';
import { LeaseStore } from './redis/leases.ts';
import { Leftovers } from './redis/leftovers.ts';
import { Looks } from './redis/looks.ts';
import { Losses } from './redis/losses.ts';
import { Memberships } from './redis/memberships.ts';
import { Outbox } from './redis/outbox.ts';
import { PresenceStore } from './redis/presence-store.ts';
import { PrivacyCache } from './redis/privacy-cache.ts';
import { Processes } from './redis/processes.ts';
import { Pulse } from './redis/pulse.ts';
import { PushPlaces } from './redis/push-places.ts';
import { Reach } from './redis/reach.ts';
import { RecordFields } from './redis/record-fields.ts';
import { RoomLists } from './redis/room-lists.ts';
import { SeenIndex } from './redis/seen-index.ts';
import { UserRooms } from './redis/user-rooms.ts';
import { RedisWatch } from './redis/watch.ts';
import { Readiness } from './telemetry/readiness.ts';
import { NO_TRACING, type Tracing } from './telemetry/tracing.ts';

/** How long a start waits for a Redis that may be away. */
const LOOK_LIMIT_MS = 1000;

/** The stores and queues of a process. */
export interface Stores {
  redis: RedisClient;
  keys: Keys;
  clock: RedisClock;
  pulse: Pulse;
  store: PresenceStore;
  leases: LeaseStore;
  privacy: PrivacyCache;
  outbox: Outbox;
  deadlines: DeadlineIndex;
  leftovers: Leftovers;
  records: RecordFields;
  losses: Losses;
  seen: SeenIndex;
  indicators: Indicators;
  memberships: Memberships;
  alerts: Alerts;
  userRooms: UserRooms;
  roomLists: RoomLists;
  pushPlaces: PushPlaces;
  processes: Processes;
  looks: Looks;
  db: Knex;
  reach: Reach;
  queues: Queues;
  tracing: Tracing;
  /** Which source of a detail is the strongest, the first, and so on. */
  detailOrder: readonly string[];
  /** Which of the stores and queues can be used at present. */
  readiness: Readiness;
  /** What Redis refuses, and whether it serves. */
  redisWatch: RedisWatch;
  /** Waits a moment for what Redis is; rejects, with a sentence that says what to do, where nothing can work with it. */
  look(): Promise<void>;
  /** A further connection, closed by whoever asked for it. */
  connectRedis(temper: Temper): RedisClient;
  close(): Promise<void>;
}

/** Among the first services of a process, so that it is stopped when nobody uses the stores any more. */
export function storesService(stores: Stores): Service {
  return serviceOf({ name: 'stores', start: () => stores.look(), stop: () => stores.close() });
}

/** Opens Redis, PostgreSQL and the queues. Returns at once: each may be away, and each comes back by itself. */
export function openStores(config: Config, log: Logger, tracing: Tracing = NO_TRACING): Stores {
  const settings = {
    urls: config.redisUrls,
    cluster: config.redisCluster,
    sentinels: config.redisSentinels,
    tlsRejectUnauthorized: config.redisTlsRejectUnauthorized,
  };
  const redisWatch = new RedisWatch(log);
  const connect = (temper: Temper, onRefusal = (absence: Absence) => redisWatch.refused(absence)) => {
    const client = connectRedis(settings, temper, onRefusal);
    redisWatch.observeClient(client);
    return client;
  };

  const redis = connect('prompt');
  // BullMQ's commands are counted apart from ours: its scripts must not stand in the way of a heartbeat.
  const producers = connect('prompt', (absence) => redisWatch.refusedQueue(absence));
  const keys = createKeys(config.redisPrefix, config.redisCluster);
  const clock = new RedisClock(keys.slotGroups.length);
  const pulse = new Pulse(redis, keys, clock, (error) => {
    log.error({ err: error }, 'Redis answers the regular contact with an error');
  });
  redisWatch.observePulse(pulse, redis);
  const db = connectPostgres(config, log);
  const postgresWatch = new PostgresWatch(db, log);
  const complain = (error: Error) => {
    if (!isRedisAway(error)) log.error({ err: error }, 'A queue failed');
  };
  const queues = new Queues(producers, keys, new DelayedJobs(producers), complain, config.timeoutQueues, tracing);
  const indicators = new Indicators(redis, keys, clock, tracing);
  const memberships = new Memberships(redis, keys, indicators);
  pulse.onBack((shards, first) => {
    if (!first) memberships.distrust(shards);
  });
  const readiness = new Readiness({
    redis: async () => redisWatch.absence?.reason ?? null,
    postgres: () => postgresWatch.look(),
    queue: async () => {
      const { queueAbsence } = redisWatch;
      if (queueAbsence === null) await queues.queue('timeouts').getDelayedCount();
      return queueAbsence?.reason ?? null;
    },
  });
  pulse.start();
  postgresWatch.start();

  let closing: Promise<void> | undefined;
  const close = async () => {
    // A PostgreSQL that hangs is not waited for before Redis is told goodbye.
    const looked = postgresWatch.stop();
    await pulse.stop();
    await queues.close().catch(() => {});
    await Promise.all([disconnected(redis), disconnected(producers)]);
    await looked;
    await db.destroy();
  };

  return {
    redis,
    keys,
    clock,
    pulse,
    store: new PresenceStore(redis, keys, clock, config.ttlMs, tracing),
    leases: new LeaseStore(redis, keys, clock, config.ttlMs, tracing),
    privacy: new PrivacyCache(redis, keys, clock, config.ttlMs, tracing),
    outbox: new Outbox(redis, keys),
    deadlines: new DeadlineIndex(redis, keys),
    leftovers: new Leftovers(redis, keys),
    records: new RecordFields(redis, keys),
    losses: new Losses(redis, keys),
    seen: new SeenIndex(redis, keys),
    indicators,
    memberships,
    reach: new Reach(redis, keys, clock, config.ttlMs, tracing),
    alerts: new Alerts(redis, keys, config.ttlMs, tracing),
    userRooms: new UserRooms(redis, keys, clock, config.ttlMs, config.maxRoomsPerSession, tracing),
    roomLists: new RoomLists(
      { redis, keys, clock, pulse, ttlMs: config.ttlMs, tracing },
      { limit: config.roomUsersLimit, told: config.roomsTold },
    ),
    pushPlaces: new PushPlaces(redis, keys),
    processes: new Processes(redis, keys),
    looks: new Looks(redis, keys, clock),
    db,
    queues,
    tracing,
    detailOrder: config.detailOrder,
    readiness,
    redisWatch,
    look: () => redisWatch.inspected(LOOK_LIMIT_MS),
    connectRedis: (temper) => connect(temper),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
