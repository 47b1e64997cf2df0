import { type ConnectionOptions, Queue } from 'bullmq';
import type { Arm, FollowUp } from '../presence/follow-up.ts';
import {
  type DrainJob,
  type MaintenanceJobName,
  QUEUE_NAMES,
  type QueueName,
  type RejectedJob,
  type TimeoutJob,
  timeoutJobId,
} from './jobs.ts';

/** The event streams are for people who look at the board; nothing here reads them. */
const EVENTS_KEPT = 200;

const MAINTENANCE_EVERY_MS: Record<MaintenanceJobName, number> = {
  // An active user's last seen is at most five minutes old in PostgreSQL: twice this and the work itself fit in.
  'record-active': 120_000,
  // "Within a minute" holds with one run missed.
  'restore-jobs': 20_000,
  'settle-lost': 10_000,
};

/**
 * The producers of all queues. `connection` has to fail fast while Redis is away: a caller whose job could not be added
 * is told so, and the sweep makes up for it.
 */
export class Queues {
  readonly all: ReadonlyMap<QueueName, Queue>;
  #closing: Promise<void> | null = null;

  constructor(connection: ConnectionOptions, prefix: string, onError: (error: Error) => void) {
    this.all = new Map(
      QUEUE_NAMES.map((name) => {
        const queue = new Queue(name, {
          connection,
          prefix,
          skipWaitingForReady: true,
          skipVersionCheck: true,
          streams: { events: { maxLen: EVENTS_KEPT } },
        });
        queue.on('error', onError);
        return [name, queue];
      }),
    );
  }

  queue(name: QueueName): Queue {
    const queue = this.all.get(name);
    if (!queue) throw new Error(`There is no queue ${name}`);
    return queue;
  }

  /** Adds what scripts asked for, in as few commands as possible. Rejects where Redis cannot take it. */
  async follow(...followUps: FollowUp[]): Promise<void> {
    const arms = followUps.flatMap((followUp) => followUp.arms);
    const deliver = followUps.filter((followUp) => followUp.wakeDeliver);
    const record = followUps.filter((followUp) => followUp.wakeRecord);
    await Promise.all([
      arms.length > 0 ? this.queue('timeouts').addBulk(arms.map(timeoutJob)) : undefined,
      deliver.length > 0 ? this.queue('broadcasts').addBulk(deliver.map(drainJob)) : undefined,
      record.length > 0 ? this.queue('last-seen').addBulk(record.map(drainJob)) : undefined,
    ]);
  }

  /** Keeps a row that PostgreSQL refused: it stands among the failed jobs of `last-seen` until somebody tries it again. */
  async addRejected(job: RejectedJob): Promise<void> {
    await this.queue('last-seen').add('rejected', job, { attempts: 1 });
  }

  /** Makes sure the repeating jobs exist; safe to repeat, by one process at a time. */
  async assertMaintenance(): Promise<void> {
    for (const [name, every] of Object.entries(MAINTENANCE_EVERY_MS)) {
      await this.queue('maintenance').upsertJobScheduler(name, { every }, { name, data: {} });
    }
  }

  /** Which of these timeout jobs exist in any state. */
  async existing(jobs: { userId: string; number: string }[]): Promise<boolean[]> {
    const queue = this.queue('timeouts');
    return Promise.all(
      jobs.map(
        async ({ userId, number }) => (await queue.getJobState(timeoutJobId('check', userId, number))) !== 'unknown',
      ),
    );
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.all.values()].map((queue) => queue.close())).then(() => {});
    return this.#closing;
  }
}

function timeoutJob(arm: Arm) {
  const due = Date.now() + arm.delayMs;
  const name = arm.kind === 'check' ? 'check' : arm.why;
  const number = arm.kind === 'check' ? arm.number : '';
  const data: TimeoutJob = { userId: arm.userId, number, due: new Date(due).toISOString() };
  // Two closings of one user are two jobs: an id that is still being finished would swallow the second.
  const jobId = timeoutJobId(
    name,
    arm.userId,
    arm.kind === 'check' ? arm.number : `${Math.round(due)}x${nextSerial()}`,
  );
  return { name, data, opts: { jobId, delay: Math.round(arm.delayMs) } };
}

let serial = Math.floor(Math.random() * 1e6);
function nextSerial(): number {
  serial = (serial + 1) % 1e9;
  return serial;
}

function drainJob({ shard }: FollowUp) {
  const data: DrainJob = { shard };
  return { name: 'drain', data };
}
