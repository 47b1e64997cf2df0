import type { JobsOptions, Queue } from 'bullmq';
import type { Arm } from '../presence/follow-up.ts';
import { Backlog } from './backlog.ts';
import { clientOf } from './due.ts';
import { type ClosedTogetherJob, type TimeoutJob, timeoutJobId } from './jobs.ts';
import { addJobs } from './small-jobs.ts';

/** So many one job names at most. */
const CLOSED_AT_ONCE = 100;

interface Connection {
  zmscore(key: string, ...members: string[]): Promise<(string | null)[]>;
}

/** How many jobs at once come to wait for their time, or cease to: `remove` returns the ids of those that do not wait. */
export interface SleepingJobs {
  add(
    queue: { delayed: string; marker: string },
    jobs: readonly { id: string; key: string; name: string; data: object; opts: { delay: number } }[],
  ): Promise<void>;
  remove(delayed: string, jobs: readonly { id: string; key: string }[]): Promise<string[]>;
}

/** Whose shard is known. */
export interface ArmedShard {
  shard: number;
  arm: Arm;
}

interface ArmedJob {
  name: string;
  data: TimeoutJob;
  opts: JobsOptions & { jobId: string; delay: number };
}

interface ClosedJob {
  name: 'closed';
  data: ClosedTogetherJob;
  opts: { jobId: string };
}

/** The timeout jobs: all in one queue, or by the shards of their users in several, each of which may be on a node of its own. */
export class Timeouts {
  readonly #queues: readonly Queue[];
  readonly #connection: Connection;
  readonly #sleeping: SleepingJobs;
  readonly #paused: ReadonlyMap<Queue, Backlog>;
  /** For jobs that speak of another time than that in which they are added: they begin a trace. */
  readonly #ownTrace: Pick<JobsOptions, 'telemetry'>;

  constructor(
    queues: readonly Queue[],
    connection: Connection,
    sleeping: SleepingJobs,
    ownTrace: Pick<JobsOptions, 'telemetry'>,
  ) {
    this.#queues = queues;
    this.#connection = connection;
    this.#sleeping = sleeping;
    this.#paused = new Map(queues.map((queue) => [queue, new Backlog(() => queue.isPaused())]));
    this.#ownTrace = ownTrace;
  }

  /** The queue of the users of a shard. */
  of(shard: number): Queue {
    return this.#queues[shard % this.#queues.length] as Queue;
  }

  /**
   * Adds and removes what scripts asked for. To a paused queue only the jobs that users keep are added: what looks once would
   * pile up there, and the sweep does without it.
   */
  async follow(arms: ArmedShard[]): Promise<void> {
    const byQueue = Map.groupBy(arms, ({ shard }) => this.of(shard));
    await Promise.all([...byQueue].map(([queue, some]) => this.#follow(queue, some)));
  }

  async #follow(queue: Queue, some: ArmedShard[]): Promise<void> {
    const paused = await this.#paused.get(queue)?.isFull();
    const wanted = some.flatMap(({ arm }) => {
      return arm.kind === 'remove' || (paused && arm.kind !== 'check') ? [] : [arm];
    });
    const closed = wanted.filter(isDueAtOnce);
    const added =
      closed.length < 2
        ? wanted.map((arm) => this.#job(arm))
        : [...wanted.filter((arm) => !isDueAtOnce(arm)).map((arm) => this.#job(arm)), ...this.#closedTogether(closed)];
    const removed = some.flatMap(({ arm }) => {
      return arm.kind === 'remove' ? [timeoutJobId('check', arm.userId, arm.number)] : [];
    });
    // Of the trace in which a job is added BullMQ takes care.
    const asleep = this.#ownTrace.telemetry ? [] : added.filter(isAsleep);
    const others = asleep.length === 0 ? added : added.filter((job) => !isAsleep(job));
    await Promise.all([
      others.length > 0 ? addJobs(queue, others, this.#ownTrace.telemetry !== undefined) : undefined,
      asleep.length > 0
        ? this.#sleeping.add(
            keysOf(queue),
            asleep.map((job) => sleepingIn(queue, job)),
          )
        : undefined,
      removed.length > 0 ? this.#remove(queue, removed) : undefined,
    ]);
  }

  /** Nearly all of them sleep, and go in one call; the others BullMQ removes from wherever they are. */
  async #remove(queue: Queue, ids: readonly string[]): Promise<void> {
    const jobs = ids.map((id) => ({ id, key: queue.toKey(id) }));
    const left = await this.#sleeping.remove(queue.toKey('delayed'), jobs);
    await Promise.all(left.map((id) => queue.remove(id)));
  }

  /** A job costs as much as what it does for some users. */
  #closedTogether(arms: readonly { userId: string }[]): ClosedJob[] {
    const due = Date.now();
    const jobs: ClosedJob[] = [];
    for (let n = 0; n < arms.length; n += CLOSED_AT_ONCE) {
      const userIds = arms.slice(n, n + CLOSED_AT_ONCE).map(({ userId }) => userId);
      const data: ClosedTogetherJob = { userIds, due: new Date(due).toISOString() };
      jobs.push({ name: 'closed', data, opts: { jobId: `together-${due}x${nextSerial()}` } });
    }
    return jobs;
  }

  #job(arm: Exclude<Arm, { kind: 'remove' }>): ArmedJob {
    const due = Date.now() + arm.delayMs;
    const name = arm.kind === 'check' ? 'check' : arm.why;
    const data: TimeoutJob = { userId: arm.userId, due: new Date(due).toISOString() };
    // Two closings of one user are two jobs: an id that is still being finished would swallow the second.
    const jobId = timeoutJobId(
      name,
      arm.userId,
      arm.kind === 'check' ? arm.number : `${Math.round(due)}x${nextSerial()}`,
    );
    // A goodbye is made true by its job; any other job looks at what comes of itself.
    return {
      name,
      data,
      opts: { jobId, delay: Math.round(arm.delayMs), ...(name === 'closed' ? {} : this.#ownTrace) },
    };
  }

  /**
   * Which of these jobs of users of a shard are still to come. One that is over, though its user's record waits for it (a
   * failover may take the one back and not the other), makes room for the next of its id.
   */
  async coming(shard: number, jobs: { userId: string; number: string }[]): Promise<boolean[]> {
    const queue = this.of(shard);
    const ids = jobs.map(({ userId, number }) => timeoutJobId('check', userId, number));
    if (ids.length === 0) return [];
    // Nearly all of them sleep, which is known of all in one command.
    const sleeping = await this.#connection.zmscore(queue.toKey('delayed'), ...ids);
    const client = await clientOf(queue);
    return Promise.all(
      ids.map(async (jobId, n) => {
        if (sleeping[n] != null) return true;
        // Asked of the job itself: whoever looks for each in the list of those that wait reads all of it each time, and in a
        // paused queue, or after an outage, everybody's job is there.
        const [added, finished] = await client.hmget(queue.toKey(jobId), 'timestamp', 'finishedOn');
        if (finished != null) await queue.remove(jobId);
        return added != null && finished == null;
      }),
    );
  }
}

/** Whether it is one of those that make a goodbye true, all of which are due in the same moment. */
function isDueAtOnce(arm: Arm): boolean {
  return arm.kind === 'once' && arm.why === 'closed' && Math.round(arm.delayMs) === 0;
}

function isAsleep(job: ArmedJob | ClosedJob): job is ArmedJob {
  return 'delay' in job.opts && job.opts.delay > 0;
}

function keysOf(queue: Queue) {
  return { delayed: queue.toKey('delayed'), marker: queue.toKey('marker') };
}

function sleepingIn(queue: Queue, { name, data, opts: { jobId, delay } }: ArmedJob) {
  return { id: jobId, key: queue.toKey(jobId), name, data, opts: { delay } };
}

let serial = Math.floor(Math.random() * 1e6);
function nextSerial(): number {
  serial = (serial + 1) % 1e9;
  return serial;
}
