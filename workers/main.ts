import { type Job, Worker, type WorkerOptions } from 'bullmq';
import { type Config, readConfig } from '../src/config.ts';
import { type ProcessPlan, runProcess, type Service } from '../src/lifecycle.ts';
import { createLogger, type Logger } from '../src/log.ts';
import { FollowUps } from '../src/queues/follow-ups.ts';
import { KEEP, kindOf, type QueueName, timeoutQueueNames } from '../src/queues/jobs.ts';
import { isRedisAway, type RedisClient } from '../src/redis/connect.ts';
import { openServices, type Services } from '../src/services.ts';
import { openTracing, tracingService } from '../src/tracing-start.ts';
import { runBroadcast } from './broadcasts.ts';
import { runLastSeen } from './last-seen.ts';
import { isJobLost } from './lost-jobs.ts';
import { runMaintenance } from './maintenance.ts';
import { metricsServer, WorkerMetrics } from './metrics.ts';
import { runNotification } from './notifications.ts';
import { type PushListener, retryPushAfter, runPush } from './pushes.ts';
import { Sweep } from './sweep.ts';
import { runTimeout } from './timeouts.ts';
import { retryWebhookAfter, runWebhook } from './webhooks.ts';

type Processor = (job: Job, token: string | undefined) => Promise<unknown>;

/** A dead worker's drain is taken over within this; longer for work that is long and not urgent. */
const SHORT = { lockDuration: 2000, stalledInterval: 1000 };
const LONG = { lockDuration: 30_000, stalledInterval: 15_000 };
/** Waits for somebody else's server: others go on soon where a worker died, and never because it is slow for a moment. */
const FOREIGN = { lockDuration: 10_000, stalledInterval: 5000 };
/** Jobs that re-arm themselves may meet any number of crashes in their long life; a stall count is never reset. */
const ANY_NUMBER_OF_STALLS = 1_000_000;
/** Drains of different shards run side by side; more of them than shards would only wait for each other. */
const DRAINS_AT_ONCE = 16;
const RECORDS_AT_ONCE = 4;

async function assemble(): Promise<ProcessPlan> {
  const config = readConfig(process.env);
  const log = createLogger(config, 'worker');
  const tracing = await openTracing(config, 'worker', log);
  const services = openServices(config, log, tracing);
  const connection = services.connectRedis('blocking');
  const followUps = new FollowUps(services.queues, log);
  const sweep = new Sweep(services, config, log, followUps);
  const metrics = new WorkerMetrics(services, config);
  const pushListener: PushListener = {
    pushed: (result) => metrics.pushed(result),
    leftAlone: (host) => log.warn({ host }, 'A push service does not answer and is left alone for some minutes'),
  };
  const queue = (name: QueueName, options: Partial<WorkerOptions>, processor: Processor) =>
    queueService(name, { connection, services, log, options, processor });
  return {
    log,
    services: [
      tracingService(tracing),
      { name: 'stores', start: async () => {}, stop: () => services.close() },
      { name: 'follow-ups', start: async () => {}, stop: () => followUps.settled() },
      { name: 'queue connection', start: async () => {}, stop: async () => connection.disconnect() },
      queue('last-seen', { ...SHORT, concurrency: RECORDS_AT_ONCE }, (job) => runLastSeen(services, config, log, job)),
      queue('maintenance', { ...LONG, concurrency: 1 }, (job) => runMaintenance(services, config, job)),
      queue('broadcasts', { ...SHORT, concurrency: DRAINS_AT_ONCE }, (job) => runBroadcast(services, metrics, job)),
      ...timeoutQueueNames(config.timeoutQueues).map((name) =>
        queue(name, { ...SHORT, ...concurrencyOf(config) }, (job, token) =>
          runTimeout(services, followUps, job, token),
        ),
      ),
      queue('notifications', { ...LONG, ...concurrencyOf(config), ...PUSH_RETRIES }, (job) =>
        runNotification(services, config, job),
      ),
      queue('pushes', { ...FOREIGN, concurrency: pushesAtOnce(config), ...PUSH_RETRIES }, (job, token) =>
        runPush(services, config, pushListener, job, token),
      ),
      queue('webhooks', { ...FOREIGN, concurrency: 1, settings: { backoffStrategy: retryWebhookAfter } }, (job) =>
        runWebhook(services, config, metrics, job),
      ),
      metricsServer(config, metrics, log),
      { name: 'sweep', start: async () => sweep.start(), stop: () => sweep.stop() },
    ],
  };
}

const PUSH_RETRIES = { settings: { backoffStrategy: retryPushAfter } };

const concurrencyOf = (config: Config) => ({ concurrency: config.workerConcurrency });

/** They wait for other people's servers and cost little, so a small number of jobs at once is no reason to send few. */
const PUSHES_AT_ONCE = 64;
const pushesAtOnce = ({ workerConcurrency }: Config) => Math.max(PUSHES_AT_ONCE, workerConcurrency);

interface QueueSetup {
  connection: RedisClient;
  services: Services;
  log: Logger;
  options: Partial<WorkerOptions>;
  processor: Processor;
}

/** One BullMQ worker. Stopping lets the jobs in hand finish; what does not is taken up again by another worker. */
function queueService(name: QueueName, { connection, services, log, options, processor }: QueueSetup): Service {
  let worker: Worker | undefined;
  return {
    name: `queue ${name}`,
    start: async () => {
      worker = new Worker(name, processor, {
        connection,
        prefix: services.keys.queuePrefix(name),
        skipVersionCheck: true,
        ...(services.tracing.telemetry ? { telemetry: services.tracing.telemetry } : {}),
        maxStalledCount: ANY_NUMBER_OF_STALLS,
        // How soon it tries again while Redis is away; the library's own 15 s would outlast every promise.
        runRetryDelay: 200,
        removeOnComplete: { count: KEEP[kindOf(name)].completed },
        removeOnFail: { count: KEEP[kindOf(name)].failed },
        ...options,
      });
      worker.on('error', (error) => {
        if (isJobLost(error))
          log.warn({ reason: error.message, queue: name }, 'A job was taken over or lost with its store');
        else if (!isRedisAway(error)) log.error({ err: error, queue: name }, 'A queue worker failed');
      });
      worker.on('failed', (job, error) => {
        if (isRedisAway(error)) return;
        if (job && !job.finishedOn) {
          log.warn({ reason: error.message, queue: name, job: job.id }, 'A job failed and will be tried again');
        } else log.error({ err: error, queue: name, job: job?.id }, 'A job failed');
      });
    },
    stop: async () => {
      await worker?.close(!services.pulse.alive);
    },
    stopLimitMs: 5000,
  };
}

await runProcess(assemble);
