import cluster from 'node:cluster';
import { readdirSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { type Config, readConfig } from '../../src/config/config.ts';
import { composeServices, serviceOf } from '../../src/lifecycle.ts';
import { createLogger } from '../../src/log.ts';
import { feedState } from '../../src/postgres/change-feed.ts';
import { connectPostgres } from '../../src/postgres/connect.ts';
import { PostgresWatch } from '../../src/postgres/watch.ts';
import { FollowUps } from '../../src/queues/follow-ups.ts';
import { Queues } from '../../src/queues/queues.ts';
import { RedisClock } from '../../src/redis/clock.ts';
import { connectRedis, disconnected, type RedisClient } from '../../src/redis/connect.ts';
import { DeliveryReader } from '../../src/redis/delivery.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { Pulse } from '../../src/redis/pulse.ts';
import { openStores, type Stores, storesService } from '../../src/stores.ts';
import { loopLag } from '../../src/telemetry/loop-lag.ts';
import { openTracing, tracingService } from '../../src/telemetry/tracing-start.ts';
import { ChangeFeed } from '../../src/usecases/change-feed.ts';
import { Conversations } from '../../src/usecases/conversations.ts';
import { Presence } from '../../src/usecases/presence.ts';
import { Pressure } from '../../src/web/limits/pressure.ts';
import { webCluster } from '../../src/web/operations/cluster.ts';
import { Connections } from '../../src/web/sessions/connections.ts';
import { MemberChecks } from '../../src/web/sockets/member-checks.ts';
import { Pings } from '../../src/web/sockets/pings.ts';
import { SlowReaders } from '../../src/web/sockets/slow-readers.ts';
import { planWeb } from '../../src/web/start.ts';
import { Background } from '../../workers/background.ts';
import { FeedKeeper } from '../../workers/change-feed.ts';
import { metricsServer, WorkerMetrics } from '../../workers/metrics.ts';
import { queueService } from '../../workers/queue-service.ts';
import { RoomFollower } from '../../workers/rooms.ts';
import { planWorker } from '../../workers/start.ts';
import { Sweep } from '../../workers/sweep.ts';
import { Collector } from '../support/collector.ts';
import { JWT_SECRET } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { type Part, stressStartStop } from '../support/start-stop.ts';
import { openTestStores, privateRedis, type TestStores } from '../support/stores.ts';

const log = createLogger({ logLevel: 'silent' }, 'worker');

let server: EmbeddedRedis;
let room: TestStores;
let admin: Redis;
let collector: Collector;
let env: Record<string, string>;
let config: Config;

beforeAll(async () => {
  [server, room, collector] = await Promise.all([privateRedis(), openTestStores('start stop'), Collector.start()]);
  admin = new Redis(server.url);
  // A process looks at its event loop for as long as it has metrics of that.
  loopLag.listen(() => {});
  env = {
    REDIS_URL: server.url,
    DATABASE_URL: room.databaseUrl,
    JWT_SECRET,
    PORT: '0',
    HOST: '127.0.0.1',
    METRICS_PORT: '0',
    ADMIN_PASSWORD: 'only-for-starts-and-stops',
    LOG_LEVEL: 'silent',
  };
  config = readConfig(env);
});
afterAll(async () => {
  admin.disconnect();
  await collector.stop();
  await room.close();
  await server.stop();
});

const connections = async () =>
  String(await admin.client('LIST'))
    .trim()
    .split('\n').length;
const listening = async () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length;
const settings = () => ({ urls: config.redisUrls, cluster: false, tlsRejectUnauthorized: true });

function connect(temper: 'prompt' | 'blocking' | 'reading'): RedisClient {
  const client = connectRedis(settings(), temper);
  client.on('error', () => {});
  return client;
}

/** Redis is lost for a moment: whoever listens for its return hears of it. */
async function reconnected(client: RedisClient): Promise<void> {
  const back = new Promise((resolve) => client.once('ready', resolve));
  client.disconnect(true);
  await back;
}

/** What each part is, by the files whose starts and stops are tried with it. */
const PARTS: Record<string, string[]> = {};
const part = (name: string, files: string[], run: () => Promise<void>) => {
  PARTS[name] = files;
  test(`${name}: stopped when the stop returns, whenever it comes`, run, 120_000);
};

describe('what holds stores', () => {
  let redis: RedisClient;
  beforeAll(async () => {
    redis = connect('prompt');
    await eventually(
      () => redis.status,
      (status) => status === 'ready',
    );
  });
  afterAll(() => disconnected(redis));
  const keys = () => createKeys(config.redisPrefix, false);

  part('the contact with Redis', ['src/redis/pulse.ts'], () =>
    stressStartStop(() => new Pulse(redis, keys(), new RedisClock(1)), {
      disturb: () => reconnected(redis),
      others: ['src/redis/connect.ts'],
    }),
  );

  part('the reader of the delivery stream', ['src/redis/delivery.ts'], () =>
    stressStartStop(
      () =>
        new DeliveryReader(connect('reading'), redis, keys(), {
          prepare: async () => {},
          onBatch: () => {},
          onGap: () => {},
        }),
      { outside: connections },
    ),
  );

  part('the look at PostgreSQL', ['src/postgres/watch.ts', 'src/lifecycle.ts'], async () => {
    const db = connectPostgres(config);
    // Its connections are the pool's.
    await stressStartStop(() => new PostgresWatch(db, log), { others: ['src/postgres/pool.ts'] });
    await db.destroy();
  });

  part('the queues', ['src/queues/queues.ts'], () =>
    stressStartStop(() => {
      const client = connect('prompt');
      const queues = new Queues(
        client,
        keys(),
        { add: async () => {}, remove: async () => [] },
        () => {},
        config.timeoutQueues,
      );
      return serviceOf({
        name: 'queues',
        start: async () => void (await queues.figures().catch(() => {})),
        stop: () => queues.close().then(() => disconnected(client)),
      });
    }),
  );

  part('the stores of a process', ['src/stores.ts'], () =>
    stressStartStop(() => storesService(openStores(config, log)), { outside: connections }),
  );
});

describe('what is given stores', () => {
  let stores: Stores;
  let connection: RedisClient;
  beforeAll(async () => {
    stores = openStores(config, log);
    connection = connect('blocking');
    await eventually(() => stores.pulse.alive, Boolean);
  });
  afterAll(async () => {
    await disconnected(connection);
    await stores.close();
  });

  /** What the stores do by themselves. */
  const others = [
    'redis/connect',
    'redis/inspection',
    'redis/watch',
    'lifecycle',
    'redis/scripts',
    'redis/pulse',
    'postgres/watch',
    'postgres/transaction',
    'postgres/pool',
    'stores',
  ].map((file) => `src/${file}.ts`);
  const stress = (make: () => Part | Promise<Part>, outside?: () => Promise<number>) =>
    stressStartStop(make, { others, disturb: () => lostAndBack(), ...(outside ? { outside } : {}) });

  /** Redis is lost for a moment, and the contact with it is there again. */
  async function lostAndBack(): Promise<void> {
    const back = new Promise<void>((resolve) => stores.pulse.onBack(() => resolve()));
    await reconnected(stores.redis);
    await back;
  }

  part('the sweep', ['workers/sweep.ts', 'workers/postgres-upkeep.ts'], () =>
    stress(() => {
      const followUps = new FollowUps(stores.queues, log);
      return new Sweep(stores, config, log, followUps, new RoomFollower(stores, followUps, 1000));
    }),
  );

  part('work beside the sweep', ['workers/background.ts'], () =>
    stress(() => {
      const keeper = new FeedKeeper(stores, config);
      const work = new Background(0, () => keeper.pass(), log, 'not kept');
      return { start: () => work.tick(), stop: () => work.stop() };
    }),
  );

  part('what goes to the queues', ['src/queues/follow-ups.ts'], () =>
    stress(() => {
      const followUps = new FollowUps(stores.queues, log);
      return {
        start: () => followUps.add({ shard: 0, wakeDeliver: true, wakeRecord: true, arms: [] }),
        stop: () => followUps.stop(),
      };
    }),
  );

  part('the worker of a queue', ['workers/queue-service.ts', 'workers/held-jobs.ts'], () =>
    stress(
      () =>
        queueService('broadcasts', {
          connection,
          stores,
          log,
          options: { lockDuration: 2000, stalledInterval: 1000 },
          processor: async () => {},
        }),
      connections,
    ),
  );

  part("a worker's metrics", ['workers/metrics.ts'], () =>
    stress(() => metricsServer(config, new WorkerMetrics(stores, config), stores, log), listening),
  );

  part('the measure of pressure', ['src/web/limits/pressure.ts'], () =>
    stress(
      () =>
        new Pressure(
          () => stores.pulse.answerMs,
          () => {},
        ),
    ),
  );

  part('the look for slow readers', ['src/web/sockets/slow-readers.ts'], () =>
    stress(() => new SlowReaders(new Server(), () => {})),
  );

  part('the pings', ['src/web/sockets/pings.ts'], () => stress(() => new Pings(new Server(), 10_000)));

  part('the look at members', ['src/web/sockets/member-checks.ts'], () =>
    stress(() => {
      const conversations = new Conversations(stores, new Presence(stores, config.ttlMs, log));
      return new MemberChecks({
        log,
        joined: () => [{ conversationId: 'a', userId: 'b' }],
        removed: (joined) => conversations.removed(joined),
        putOut: () => {},
      });
    }),
  );

  part(
    'the sessions of a web',
    ['connections', 'heartbeats', 'goodbyes', 'silence'].map((file) => `src/web/sessions/${file}.ts`),
    () => {
      let count = 0;
      return stress(() => {
        const presence = new Presence(stores, config.ttlMs, log);
        const sessions = new Connections(presence, stores, config, log, () => 1);
        return {
          async start() {
            const userId = `user-${count++ % 20}`;
            const sessionId = `d${userId.padStart(21, '-')}`;
            const request = { userId, sessionId, kind: 'other', name: '', claims: {}, end: () => {} } as const;
            const opened = await sessions.open(request).catch(() => null);
            if (opened) sessions.beat(opened, 'idle');
          },
          stop: () => sessions.stop(),
        };
      });
    },
  );

  part('the change feed at the door', ['src/usecases/change-feed.ts'], () =>
    stress(async () => {
      const feed = new ChangeFeed(stores);
      const { now } = await feedState(stores.db);
      const asked = new Set<Promise<unknown>>();
      return {
        start() {
          // Nobody is let in any more.
          if (feed.draining) return;
          asked.add(feed.changes(now, 1, 60_000, new AbortController().signal).catch(() => {}));
        },
        // As a server does, which waits for its answers.
        stop: () => feed.drain().then(() => Promise.all(asked)),
      };
    }),
  );
});

describe('what is a process', () => {
  // The exporter reads its address itself.
  beforeAll(() => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url;
  });
  afterAll(() => {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
  });

  part('traces', ['src/telemetry/tracing-otel.ts', 'src/telemetry/tracing.ts', 'src/telemetry/tracing-start.ts'], () =>
    stressStartStop(
      async () => {
        const settings = { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER: 'always_on' };
        const tracing = await openTracing(readConfig(settings), 'worker', log);
        const { stop } = tracingService(tracing);
        return { start: () => tracing.event('start', async () => {}), stop };
      },
      // The library keeps a connection for the next batch, which keeps no process from ending.
      { others: [] },
    ),
  );

  const sockets = [
    'ask-again',
    'audience',
    'batches',
    'closing-connections',
    'conversation-rooms',
    'event-streams',
    'gateway',
    'resync',
    'rooms',
  ];
  part('a whole web', ['src/web/start.ts', ...sockets.map((file) => `src/web/sockets/${file}.ts`)], () =>
    stressStartStop(async () => composeServices('web', await planWeb(config, log, {})), { outside: connections }),
  );

  part('a whole worker', ['workers/start.ts', 'workers/stalled-jobs.ts'], () =>
    stressStartStop(async () => composeServices('worker', await planWorker(env)), { outside: connections }),
  );

  part('several webs on a port', ['src/web/operations/cluster.ts'], () => {
    cluster.setupPrimary({ exec: 'test/web/cluster-process.ts', args: [], silent: true });
    return stressStartStop(() => webCluster(1, log));
  });
});

/** Those that are none, or that are tried elsewhere. */
const NOT_HERE: Record<string, string> = {
  'src/backend/lease.ts': 'what a backend holds is tried in test/backend/agents.long.test.ts',
  'src/cli/commands/dev.ts': 'a command, which ends with its process',
  'src/cli/orphaned.ts': 'a timer that keeps no process alive, for as long as a command runs',
  'src/testing/service-process.ts': 'the service in processes of its own, tried in test/cli and test/testing',
  'src/testing/start-rollcall.ts': 'the service in processes of its own, tried in test/cli and test/testing',
  'src/client/connection.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/client/heartbeat.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/client/indicators.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/client/page.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/client/presence-client.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/client/room-updates.ts': 'a timer that ends with its room; see test/rooms/sdk.test.ts',
  'src/client/tokens.ts': 'the client is tried in test/client/start-stop.test.ts',
  'src/usecases/conversations.ts': 'starts and stops typing',
  'src/redis/indicators.ts': 'starts and stops typing',
  'src/redis/presence-store.ts': 'closes sessions',
  'src/web/sockets/limits.ts': 'closes the socket of a client',
  'src/web/sockets/without-rooms.ts': 'what Socket.IO asks of an adapter, which holds nothing',
  'src/telemetry/loop-lag.ts': 'one for the whole process, for as long as somebody listens',
  'src/testing/fake-rooms.ts': 'runs by the clock of the test that has it',
  'src/usecases/rooms.ts': 'timers that the gateway ends, and that keep no process alive',
  'src/web/sockets/room-audience.ts': 'timers that the gateway ends',
  'src/web/sockets/room-members.ts': 'timers that the gateway ends',
  'src/web/sockets/room-returns.ts': 'timers that the gateway ends',
  'workers/drain.ts': 'a lease that is kept for the length of a drain',
};

test('whatever can be started and stopped is among them', () => {
  const handles =
    /^\s+(?:async |get |readonly )?(?:start|stop|stopChecking|close|drain|settled)\b\s*(?:\(|[:=]\s*(?:async\s*)?\()|\bsetInterval\(|(?<!\.)\bevery\(|\bnew Ticker\(|\bserviceOf\(/m;
  const files = ['src', 'workers'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  );
  const found = files.filter(
    (file) => /\.tsx?$/.test(file) && !/^src\/(demo|console)\//.test(file) && handles.test(readFileSync(file, 'utf8')),
  );
  const tried = Object.values(PARTS).flat();
  expect(found.sort()).toEqual([...new Set([...tried, ...Object.keys(NOT_HERE)])].sort());
});
