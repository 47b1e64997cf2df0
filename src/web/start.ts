import cluster from 'node:cluster';
import type { FastifyInstance } from 'fastify';
import { type Config, readConfig } from '../config/config.ts';
import { RollcallError } from '../errors.ts';
import { type ProcessPlan, runProcess, serviceOf } from '../lifecycle.ts';
import { createLogger, type Logger } from '../log.ts';
import { SharedLimits } from '../redis/limits.ts';
import { openStores, storesService } from '../stores.ts';
import { openTracing, tracingService } from '../telemetry/tracing-start.ts';
import { Analytics } from '../usecases/analytics.ts';
import { AuditLog } from '../usecases/audit.ts';
import { ChangeFeed } from '../usecases/change-feed.ts';
import { ConsoleLive } from '../usecases/console-live.ts';
import { ConsolePeople } from '../usecases/console-people.ts';
import { Conversations } from '../usecases/conversations.ts';
import { Exports } from '../usecases/export.ts';
import { Leases } from '../usecases/leases.ts';
import { LookBudget } from '../usecases/looks.ts';
import { Presence } from '../usecases/presence.ts';
import { Profiles } from '../usecases/profiles.ts';
import { Push } from '../usecases/push.ts';
import { Rooms } from '../usecases/rooms.ts';
import { Social } from '../usecases/social.ts';
import { buildApp } from './app.ts';
import { createAuthenticator } from './auth/auth.ts';
import { Origins } from './auth/origins.ts';
import { Tokens } from './auth/tokens.ts';
import { Limits } from './limits/limits.ts';
import { CLUSTER_STOP_LIMIT_MS, webCluster } from './operations/cluster.ts';
import { answerScrapes, scrapeOfMachine } from './operations/cluster-metrics.ts';
import { createHealthProbe } from './operations/health-probe.ts';
import { scrapeOf, WebMetrics } from './operations/metrics.ts';
import { attachSockets, type Gateway } from './sockets/gateway.ts';

/** Upgraded connections keep a server open until somebody closes them, and a drain tells every client first. */
const HTTP_STOP_LIMIT_MS = 15_000;

/**
 * How many connections may wait to be accepted; the system allows as many as its own limit (`net.core.somaxconn`, 4096 as a
 * rule). Whoever finds no room in a crowd that comes back in one moment is heard after 1, 3, 7 or 15 s, which is too late.
 */
const BACKLOG = 65_535;

export interface WebExtras {
  /** Routes of this process alone, beside those of every web process. */
  routes?: (app: FastifyInstance) => Promise<void> | void;
}

/** The life of a web process; with WEB_CONCURRENCY above 1, of the one that starts and watches the others. */
export async function startWeb(env: NodeJS.ProcessEnv, extras: WebExtras = {}): Promise<void> {
  await runProcess(async () => {
    const config = readConfig(env);
    const log = createLogger(config, 'web');
    if (config.webConcurrency > 1 && cluster.isPrimary) {
      answerScrapes();
      return { log, services: [webCluster(config.webConcurrency, log)], stopLimitMs: CLUSTER_STOP_LIMIT_MS };
    }
    return await planWeb(config, log, extras);
  });
}

/** The services of one web process. Listening comes last: nobody is let in before everything is there. */
export async function planWeb(config: Config, log: Logger, { routes }: WebExtras): Promise<ProcessPlan> {
  const tracing = await openTracing(config, 'web', log);
  const stores = openStores(config, log, tracing);
  const metrics = new WebMetrics(stores, config);
  stores.processes.tell(stores.pulse, () => ({ kind: 'web', figures: metrics.figures }));
  const presence = new Presence(stores, config.ttlMs, log);
  const conversations = new Conversations(stores, presence);
  const rooms = new Rooms(stores, presence, config);
  const changes = new ChangeFeed(stores);
  let sockets: Gateway | undefined;
  const shared = new SharedLimits(stores.redis, stores.keys);
  const looks = new LookBudget(stores, config.maxLooksPerUserPerDay, () => metrics.lookRefused());
  const limits = new Limits(config, shared, looks);
  const social = new Social(stores, presence);
  const profiles = new Profiles(stores, presence);
  const analytics = new Analytics(stores);
  const auth = createAuthenticator(config, log, Date.now, (reason) => metrics.tokenRefused(reason));
  const tokens = new Tokens(auth, limits);
  const origins = new Origins(config, log);
  const app = await buildApp({
    config,
    log,
    tokens,
    limits,
    origins,
    presence,
    leases: new Leases(stores, presence, rooms, config),
    conversations,
    rooms,
    social,
    profiles,
    exports: new Exports(stores, presence.reads, rooms, shared),
    push: new Push(stores, config),
    analytics,
    console: {
      people: new ConsolePeople(stores, { presence, profiles, social, rooms, analytics }),
      live: new ConsoleLive(stores, { analytics, rooms, looks }, config),
    },
    audit: new AuditLog(stores),
    changes,
    // Nobody is let in before they are there.
    events: {
      open: async (asked) => {
        if (!sockets) throw new RollcallError('UNAVAILABLE');
        return await sockets.streams.open(asked);
      },
    },
    health: createHealthProbe(
      stores,
      () => sockets?.draining ?? false,
      () => sockets?.level ?? 0,
    ),
    boardQueues: [...stores.queues.all.values()],
    scrape: cluster.isWorker ? scrapeOfMachine(metrics.registry) : scrapeOf(metrics.registry),
    tracing,
    extraRoutes: routes,
  });
  // While closing and still listening, so that whoever comes now is told to go elsewhere.
  app.addHook('preClose', async () => {
    await Promise.all([changes.drain(), sockets?.drain()]);
  });
  sockets = attachSockets(app.server, {
    config,
    log,
    tokens,
    limits,
    origins,
    presence,
    conversations,
    rooms,
    stores,
    metrics,
  });

  const http = serviceOf({
    name: 'http',
    start: async () => {
      await app.listen({
        port: config.port,
        host: config.host,
        backlog: BACKLOG,
        // One address on each network of the machine is told.
        listenTextResolver: (address) => `listening at ${address}`,
      });
    },
    stop: () => app.close(),
    stopLimitMs: HTTP_STOP_LIMIT_MS,
  });
  return { log, services: [tracingService(tracing), storesService(stores), sockets, http] };
}
