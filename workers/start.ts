import { type Config, readConfig } from '../src/config/config.ts';
import { type ProcessPlan, serviceOf } from '../src/lifecycle.ts';
import { createLogger } from '../src/log.ts';
import { FollowUps, GATHER_MS } from '../src/queues/follow-ups.ts';
import { type QueueKind, type QueueName, timeoutQueueNames } from '../src/queues/jobs.ts';
import { disconnected } from '../src/redis/connect.ts';
import type { Group } from '../src/redis/keys.ts';
import { openStores, storesService } from '../src/stores.ts';
import { openTracing, tracingService } from '../src/telemetry/tracing-start.ts';
import { runBroadcast } from './broadcasts.ts';
import { Drains } from './drain.ts';
import { runLastSeen } from './last-seen.ts';
import { runMaintenance } from './maintenance.ts';
import { metricsServer, WorkerMetrics } from './metrics.ts';
import { runNotification } from './notifications.ts';
import { type PushListener, retryPushAfter, runPush } from './pushes.ts';
import { type Processor, type QueueOptions, queueService } from './queue-service.ts';
import { RoomFollower } from './rooms.ts';
import { stalledJobs } from './stalled-jobs.ts';
import { Sweep } from './sweep.ts';
import { runTimeout } from './timeouts.ts';
import { retryWebhookAfter, runWebhook, webhooksAtOnce } from './webhooks.ts';

/** A dead worker's drain is taken over within this; longer for work that is long and not urgent. */
const SHORT = { lockDuration: 2000, stalledInterval: 1000 };
const LONG = { lockDuration: 30_000, stalledInterval: 15_000 };
/** Waits for somebody else's server: others go on soon where a worker died, and never because it is slow for a moment. */
const FOREIGN = { lockDuration: 10_000, stalledInterval: 5000 };
/** Drains of different shards run side by side; more of them than shards would only wait for each other. */
const DRAINS_AT_ONCE = 16;
const RECORDS_AT_ONCE = 4;
/** After a drain for PostgreSQL what was dropped meanwhile is seen to. */
const LONGEST_STAY_MS = { deliver: 5000, record: 1000 };

/** The services of a worker process. */
export async function planWorker(env: NodeJS.ProcessEnv): Promise<ProcessPlan> {
  const config = readConfig(env);
  const log = createLogger(config, 'worker');
  const tracing = await openTracing(config, 'worker', log);
  const stores = openStores(config, log, tracing);
  const connection = stores.connectRedis('blocking');
  const followUps = new FollowUps(stores.queues, log);
  const rooms = new RoomFollower(stores, followUps, config.ttlMs + config.handoverMs);
  const sweep = new Sweep(stores, config, log, followUps, rooms);
  stores.pulse.restWhile(() => sweep.findsNobody);
  const metrics = new WorkerMetrics(stores, config);
  stores.processes.tell(stores.pulse, () => ({ kind: 'worker', figures: metrics.figures }));
  const pushListener: PushListener = {
    pushed: (result) => metrics.pushed(result),
    leftAlone: (host) => log.warn({ host }, 'A push service does not answer and is left alone for some minutes'),
  };
  const { outbox, keys, clock } = stores;
  const drains = (group: Group) => {
    const often = { everyMs: GATHER_MS[group], longestStayMs: LONGEST_STAY_MS[group] };
    return new Drains(outbox, group, { ...often, slotGroupOf: keys.slotGroupOf, now: (shard) => clock.now(shard) });
  };
  const [deliver, recording] = [drains('deliver'), drains('record')];
  // One without a worker does not compile.
  const work = {
    'last-seen': [
      { ...SHORT, concurrency: RECORDS_AT_ONCE },
      (job) => runLastSeen(stores, recording, config, log, job).finally(() => sweep.soon()),
    ],
    maintenance: [{ ...LONG, concurrency: 1 }, (job) => runMaintenance(stores, config, job)],
    broadcasts: [
      { ...SHORT, concurrency: DRAINS_AT_ONCE },
      (job) => runBroadcast(stores, deliver, rooms, metrics, job),
    ],
    timeouts: [{ ...SHORT, ...concurrencyOf(config) }, (job, token) => runTimeout(stores, followUps, job, token)],
    notifications: [
      { ...LONG, ...concurrencyOf(config), ...PUSH_RETRIES },
      (job) => runNotification(stores, config, job),
    ],
    pushes: [
      { ...FOREIGN, concurrency: pushesAtOnce(config), ...PUSH_RETRIES },
      (job, token) => runPush(stores, config, pushListener, job, token),
    ],
    webhooks: [
      { ...FOREIGN, concurrency: webhooksAtOnce(config), settings: { backoffStrategy: retryWebhookAfter } },
      (job, token) => runWebhook(stores, config, metrics, job, token),
    ],
  } satisfies Record<QueueKind, [QueueOptions, Processor]>;
  const queues = Object.entries<[QueueOptions, Processor]>(work).flatMap(([kind, [options, processor]]) => {
    const names = kind === 'timeouts' ? timeoutQueueNames(config.timeoutQueues) : [kind as QueueName];
    return names.map((name) => queueService(name, { connection, stores, log, options, processor }));
  });
  return {
    log,
    services: [
      tracingService(tracing),
      storesService(stores),
      serviceOf({ name: 'follow-ups', stop: () => followUps.stop() }),
      serviceOf({ name: 'queue connection', stop: () => disconnected(connection) }),
      ...queues,
      serviceOf({ name: 'drains', stop: () => stopAll(deliver, recording) }),
      stalledJobs(queues, stores.queues, log),
      metricsServer(config, metrics, stores, log),
      serviceOf({ name: 'sweep', start: () => sweep.start(), stop: () => sweep.stop() }),
    ],
  };
}

function stopAll(...all: Drains[]): void {
  for (const drains of all) drains.stop();
}

const PUSH_RETRIES = { settings: { backoffStrategy: retryPushAfter } };

const concurrencyOf = (config: Config) => ({ concurrency: config.workerConcurrency });

/** They wait for other people's servers and cost little, so a small number of jobs at once is no reason to send few. */
const PUSHES_AT_ONCE = 64;
const pushesAtOnce = ({ workerConcurrency }: Config) => Math.max(PUSHES_AT_ONCE, workerConcurrency);
