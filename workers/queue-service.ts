import { type Job, Worker, type WorkerOptions } from 'bullmq';
import { type Service, serviceOf } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import { KEEP, kindOf, type QueueName } from '../src/queues/jobs.ts';
import { absenceOf, isRedisAway } from '../src/redis/absence.ts';
import type { RedisClient } from '../src/redis/connect.ts';
import type { Stores } from '../src/stores.ts';
import { HeldJobs } from './held-jobs.ts';
import { isJobLost } from './lost-jobs.ts';
import type { Watched } from './stalled-jobs.ts';

export type Processor = (job: Job, token: string | undefined) => Promise<unknown>;

/** A queue's worker as a part of the process. */
export interface QueueService extends Service, Watched {}

/** `lockDuration`, `stalledInterval`: how long a job is a worker's own, and how often those of dead ones are looked for (ms). */
export type QueueOptions = Partial<WorkerOptions> & { lockDuration: number; stalledInterval: number };

export interface QueueSetup {
  connection: RedisClient;
  stores: Stores;
  log: Logger;
  options: QueueOptions;
  processor: Processor;
}

/** Jobs that re-arm themselves may meet any number of crashes in their long life; a stall count is never reset. */
const ANY_NUMBER_OF_STALLS = 1_000_000;
/** How long it waits at an empty queue before it asks again: as long as it may, for asking costs more than all else there. */
const DRAIN_SECONDS = 10;
/** How soon it tries again while Redis is away; the library's own 15 s would outlast every promise. */
const RETRY_MS = 200;
/** How long a worker lets a Redis be that answers and refuses, unless it is known to take what it is given again. */
const PAUSE_MS = 1000;

/**
 * A BullMQ worker as a service. Stopping lets the jobs in hand finish; what does not is taken up again by another
 * worker.
 */
export function queueService(name: QueueName, setup: QueueSetup): QueueService {
  const { connection, stores, log, options, processor } = setup;
  const process = madeAgainLater(processor);
  const held = new HeldJobs(options.lockDuration, () => worker);
  let worker: Worker | undefined;
  let pause: Pause | undefined;
  const { start, stop } = serviceOf({
    name: `queue ${name}`,
    start: () => {
      const started = new Worker(name, (job, token = '') => held.during(job, token, () => process(job, token)), {
        connection,
        prefix: stores.keys.queuePrefix(name),
        skipVersionCheck: true,
        drainDelay: DRAIN_SECONDS,
        // Both are seen to for all queues together.
        skipLockRenewal: true,
        skipStalledCheck: true,
        ...(stores.tracing.telemetry ? { telemetry: stores.tracing.telemetry } : {}),
        maxStalledCount: ANY_NUMBER_OF_STALLS,
        runRetryDelay: RETRY_MS,
        removeOnComplete: { count: KEEP[kindOf(name)].completed },
        removeOnFail: { count: KEEP[kindOf(name)].failed },
        ...options,
      });
      worker = started;
      pause = new Pause(started, stores);
      started.on('error', (error) => {
        if (absenceOf(error)?.refuses) pause?.begin();
        if (isJobLost(error))
          log.warn({ reason: error.message, queue: name }, 'A job was taken over or lost with its store');
        else if (!isRedisAway(error)) log.error({ err: error, queue: name }, 'A queue worker failed');
      });
      started.on('failed', (job, error) => {
        if (isRedisAway(error)) return;
        if (job && !job.finishedOn) {
          log.warn({ reason: error.message, queue: name, job: job.id }, 'A job failed and will be tried again');
        } else log.error({ err: error, queue: name, job: job?.id }, 'A job failed');
      });
    },
    stop: async () => {
      pause?.stop();
      await worker?.close(!stores.pulse.alive);
      held.stop();
    },
  });
  return {
    name: `queue ${name}`,
    get worker() {
      return worker;
    },
    everyMs: options.stalledInterval,
    start,
    stop,
    stopLimitMs: 5000,
  };
}

/**
 * A job that is tried once is made again by the sweep or by the upkeep, so where Redis refused what it was to do it is done rather
 * than failed: an operator would have to look at each of those that stand among the failed ones for nothing.
 */
function madeAgainLater(processor: Processor): Processor {
  return async (job, token) => {
    try {
      return await processor(job, token);
    } catch (error) {
      if (!absenceOf(error)?.refuses || (job.opts.attempts ?? 1) > 1) throw error;
      return { waiting: 'Redis takes nothing' };
    }
  };
}

/**
 * The library asks again at once where Redis answers with an error that is none of the connection, some thousand times a
 * second. So the worker is paused at the first refusal, for as long as Redis is known to refuse, and a second at least.
 */
class Pause {
  readonly #worker: Worker;
  readonly #stores: Stores;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(worker: Worker, stores: Stores) {
    this.#worker = worker;
    this.#stores = stores;
  }

  begin(): void {
    if (this.#timer || this.#stopped) return;
    void this.#worker.pause(true);
    const begunAt = performance.now();
    this.#timer = setInterval(() => {
      const refused = this.#stores.redisWatch.absence;
      if (refused || performance.now() - begunAt < PAUSE_MS) return;
      this.#end();
      void this.#worker.resume();
    }, RETRY_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#end();
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
