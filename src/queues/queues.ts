import { type ConnectionOptions, type JobsOptions, Queue } from 'bullmq';
import type { FollowUp } from '../presence/follow-up.ts';
import { NO_TRACING, type Tracing } from '../telemetry/tracing.ts';
import { Backlog } from './backlog.ts';
import { clientOf } from './due.ts';
import { QueueFigures } from './figures.ts';
import {
  type DeliverJob,
  type DrainJob,
  type EraseTracesJob,
  type FriendActiveJob,
  friendActiveJobId,
  isTimeoutQueue,
  MOST_TIMEOUT_QUEUES,
  type NoteActsJob,
  OTHER_QUEUES,
  type PushJob,
  type QueueName,
  type RefusedJob,
  type RejectedJob,
  timeoutQueueNames,
  webhookJobId,
} from './jobs.ts';
import { type RemovedJobs, removeJobsOf } from './remove-jobs.ts';
import { assertSchedulers } from './schedulers.ts';
import { addJobs, QueueOfSmallJobs } from './small-jobs.ts';
import { type SleepingJobs, Timeouts } from './timeouts.ts';

/** The event streams are for people who look at the board; nothing here reads them. */
const EVENTS_KEPT = 200;

/**
 * A drain takes all that its shards have, so that a thousand of them are enough for whatever waits: more are added only once
 * some are done.
 */
const DRAINS_AT_MOST = 1000;

/** For as long as PostgreSQL is away, up to eight minutes; an alert is no news after that. */
const FRIEND_ACTIVE_TRIES = { attempts: 10, backoff: { type: 'exponential', delay: 1000 } };
/** About two minutes, longer where the push service asks for it. The worker knows the way (`retry-after`). */
const PUSH_TRIES = { attempts: 8, backoff: { type: 'retry-after' } };
/** Tried without end, for the order of the feed leaves nothing to go on to. The worker knows how long to wait (`as-told`). */
const DELIVER_TRIES = { attempts: 1_000_000_000, backoff: { type: 'as-told' } };

/** For some three hours; then it waits among the failed jobs. */
const NOTE_TRIES = { attempts: 1000, backoff: { type: 'fixed', delay: 10_000 } };

/** Where things are in Redis: BullMQ's prefix for a queue, and on which node a shard is. */
interface KeySpace {
  queuePrefix(queue: string): string;
  slotGroupOf(shard: number): number;
  readonly slotGroups: readonly unknown[];
}

type Connection = ConnectionOptions & {
  exists(...keys: string[]): Promise<number>;
  zmscore(key: string, ...members: string[]): Promise<(string | null)[]>;
};

/**
 * The producers of all queues. `connection` has to fail fast while Redis is away: a caller whose job could not be added
 * is told so, and the sweep makes up for it.
 */
export class Queues {
  readonly all: ReadonlyMap<QueueName, Queue>;
  readonly timeouts: Timeouts;
  readonly #figures: readonly QueueFigures[];
  readonly #backlogs: Readonly<Record<'broadcasts' | 'last-seen', Backlog>>;
  readonly #connection: Connection;
  readonly #keys: KeySpace;
  readonly #onError: (error: Error) => void;
  readonly #tracing: Tracing;
  /** For jobs that speak of another time than that in which they are added: they begin a trace. */
  readonly #ownTrace: Pick<JobsOptions, 'telemetry'>;
  #closing: Promise<void> | null = null;

  /** `sleeping`: how jobs come to wait for their time, and cease to; `timeoutQueues`: over how many queues the timeout jobs are spread. */
  constructor(
    connection: Connection,
    keys: KeySpace,
    sleeping: SleepingJobs,
    onError: (error: Error) => void,
    timeoutQueues = 1,
    tracing = NO_TRACING,
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#tracing = tracing;
    this.#ownTrace = tracing.on ? { telemetry: { omitContext: true } } : {};
    this.#onError = onError;
    const names = timeoutQueueNames(timeoutQueues);
    this.all = new Map([...names, ...OTHER_QUEUES].map((name) => [name, this.#open(name)]));
    this.#figures = [...this.all.values()].map((queue) => new QueueFigures(queue));
    this.#backlogs = { broadcasts: this.#backlog('broadcasts'), 'last-seen': this.#backlog('last-seen') };
    this.timeouts = new Timeouts(
      names.map((name) => this.queue(name)),
      connection,
      sleeping,
      this.#ownTrace,
    );
  }

  #open(name: QueueName): Queue {
    const { telemetry } = this.#tracing;
    const options = {
      connection: this.#connection,
      prefix: this.#keys.queuePrefix(name),
      skipWaitingForReady: true,
      skipVersionCheck: true,
      streams: { events: { maxLen: EVENTS_KEPT } },
      ...(telemetry ? { telemetry } : {}),
    };
    const queue: Queue = isTimeoutQueue(name) ? new QueueOfSmallJobs(name, options) : new Queue(name, options);
    return queue.on('error', this.#onError);
  }

  /** The queue of this name; throws where there is none. */
  queue(name: QueueName): Queue {
    const queue = this.all.get(name);
    if (!queue) throw new Error(`There is no queue ${name}`);
    return queue;
  }

  /** Adds what scripts asked for, in as few commands as possible. Rejects where Redis cannot take it. */
  async enqueue(...followUps: FollowUp[]): Promise<void> {
    if (!this.#tracing.on) return this.#follow(followUps);
    // Each job goes on in the trace of what caused it, whoever happens to be waiting beside it.
    const together = Map.groupBy(followUps, ({ trace = '' }) => trace);
    await Promise.all([...together].map(([trace, some]) => this.#tracing.within(trace, () => this.#follow(some))));
  }

  async #follow(followUps: FollowUp[]): Promise<void> {
    const arms = followUps.flatMap(({ shard, arms }) => arms.map((arm) => ({ shard, arm })));
    const deliver = this.#drains(followUps.filter((followUp) => followUp.wakeDeliver));
    const record = this.#drains(followUps.filter((followUp) => followUp.wakeRecord));
    await Promise.all([
      arms.length > 0 ? this.timeouts.follow(arms) : undefined,
      deliver.length > 0 ? this.#addDrains('broadcasts', deliver) : undefined,
      record.length > 0 ? this.#addDrains('last-seen', record) : undefined,
    ]);
  }

  async #addDrains(name: 'broadcasts' | 'last-seen', drains: { name: string; data: DrainJob }[]): Promise<void> {
    if (!(await this.#backlogs[name].isFull())) await addJobs(this.queue(name), drains, this.#tracing.on);
  }

  #backlog(name: 'broadcasts' | 'last-seen'): Backlog {
    const queue = this.queue(name);
    return new Backlog(async () => (await (await clientOf(queue)).llen(queue.toKey('wait'))) >= DRAINS_AT_MOST);
  }

  /** Keeps a row that PostgreSQL refused: it stands among the failed jobs of `last-seen` until somebody tries it again. */
  async addRejected(job: RejectedJob): Promise<void> {
    await this.queue('last-seen').add('rejected', job, { attempts: 1 });
  }

  /**
   * Adds jobs that look, once somebody has been active for `delayMs`, whether friends are to be told. Added twice, they
   * are one.
   */
  async addFriendActive(jobs: readonly FriendActiveJob[], delayMs: number): Promise<void> {
    await this.queue('notifications').addBulk(
      jobs.map((data) => ({
        name: 'friend-active',
        data,
        opts: { jobId: friendActiveJobId(data), delay: delayMs, ...FRIEND_ACTIVE_TRIES, ...this.#ownTrace },
      })),
    );
  }

  /** Adds messages for browsers, each with an id that stands for browser and activation. Added twice, they are one. */
  async addPushes(jobs: readonly { id: string; data: PushJob }[]): Promise<void> {
    await this.queue('pushes').addBulk(
      jobs.map(({ id, data }) => ({ name: 'push', data, opts: { jobId: `push-${id}`, ...PUSH_TRIES } })),
    );
  }

  /** Has the feed posted for a webhook, by its name among WEBHOOKS. One job for all workers, however often it is asked for. */
  async addDeliver(webhook?: string): Promise<void> {
    const data: DeliverJob = { ...(webhook && { webhook }), batch: null, failures: 0, failingSince: null };
    // It may fail for days: of each failure a trace would be kept otherwise.
    const options = {
      jobId: webhookJobId('deliver', webhook),
      ...DELIVER_TRIES,
      ...this.#ownTrace,
      stackTraceLimit: 1,
      removeOnComplete: true,
      removeOnFail: true,
    };
    await this.queue('webhooks').add('deliver', data, options);
  }

  /** Keeps a batch that the receiver refused among the failed jobs of `webhooks`. Added twice, it is one. */
  async addRefused(job: RefusedJob): Promise<void> {
    const { feed, after, through } = job.batch;
    const jobId = webhookJobId('refused', feed, after, through, job.webhook);
    await this.queue('webhooks').add('refused', job, { jobId, attempts: 1 });
  }

  /** Has the jobs that speak of an erased user removed, some seconds from now: once those at work are done. */
  async addEraseTraces(userId: string): Promise<void> {
    const data: EraseTracesJob = { userId };
    const retries = { attempts: 20, backoff: { type: 'fixed', delay: 2000 } };
    await this.queue('maintenance').add('erase-traces', data, {
      delay: 8000,
      ...retries,
      ...this.#ownTrace,
      removeOnComplete: true,
    });
  }

  /** Keeps acts for the audit until PostgreSQL is back. */
  async addNoteActs(data: NoteActsJob): Promise<void> {
    await this.queue('maintenance').add('note-acts', data, {
      ...NOTE_TRIES,
      ...this.#ownTrace,
      removeOnComplete: true,
    });
  }

  /**
   * Removes the jobs that speak of the user from all queues that name users (USERS_NAMED), but with `keepTimeouts` from those
   * of timeouts; returns how many went, and how many did not, for a worker has them in hand. Rejects where Redis cannot be asked.
   */
  removeJobs(userId: string, { keepTimeouts }: { keepTimeouts: boolean }): Promise<RemovedJobs> {
    return removeJobsOf(this.all, userId, keepTimeouts);
  }

  /**
   * Makes sure that the repeating jobs are to come and that each queue has its settings, which go with a queue that is
   * obliterated; safe to repeat, by one process at a time.
   */
  async assertMaintenance(): Promise<void> {
    await assertSchedulers(this.queue('maintenance'), this.#ownTrace);
    for (const queue of this.all.values()) {
      await (await clientOf(queue)).hset(queue.toKey('meta'), { 'opts.maxLenEvents': EVENTS_KEPT });
    }
  }

  /** Removes the queues that were left when the timeout jobs were spread over more than now; returns their names. */
  async dropLeft(): Promise<QueueName[]> {
    const left: QueueName[] = [];
    for (const name of timeoutQueueNames(MOST_TIMEOUT_QUEUES)) {
      if (this.all.has(name)) continue;
      if ((await this.#connection.exists(`${this.#keys.queuePrefix(name)}:${name}:meta`)) === 0) continue;
      const queue = this.#open(name);
      try {
        await queue.obliterate({ force: true });
      } finally {
        await queue.close();
      }
      left.push(name);
    }
    return left;
  }

  /** Has last seen completed from PostgreSQL in `delayMs`: Redis may have come back empty, or there was more than one run could do. */
  async addCompleteSeen(delayMs: number): Promise<void> {
    const options = { delay: delayMs, ...this.#ownTrace, removeOnComplete: true, removeOnFail: true };
    await this.queue('maintenance').add('complete-seen', {}, options);
  }

  /** Whether any of the queues has a job that a worker has in hand. */
  async anyInHand(): Promise<boolean> {
    const keys = [...this.all.values()].map((queue) => queue.toKey('active'));
    // On one node a single question will do.
    const together = this.#keys.slotGroups.length === 1 ? [keys] : keys.map((key) => [key]);
    const found = await Promise.all(together.map((some) => this.#connection.exists(...some)));
    return found.some((count) => count > 0);
  }

  /** How much waits in each queue, and for how long the oldest of it has been due. */
  async figures() {
    return Promise.all(this.#figures.map((figures) => figures.read()));
  }

  /** One job for all shards of a node: of another one that is away no drain shall have to wait. */
  #drains(followUps: FollowUp[]) {
    const shards = [...new Set(followUps.map(({ shard }) => shard))];
    return [...Map.groupBy(shards, this.#keys.slotGroupOf).values()].map((some) => {
      const data: DrainJob = { shards: some };
      return { name: 'drain', data };
    });
  }

  /** Closes all queues; may be called again. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.all.values()].map((queue) => queue.close())).then(() => {});
    return this.#closing;
  }
}
