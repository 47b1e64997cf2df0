/** What the jobs carry. Operators read it on the board, so it says whom and what a job is about. */

/** `check`: the one delayed job of an active user. The others look once, at a moment that came nearer. */
export type TimeoutJobName = 'check' | 'closed' | 'handover' | 'choice-ends' | 'detail-ends';

export interface TimeoutJob {
  userId: string;
  /** Of a `check`: the number under which the user's record knows this job. */
  number: string;
  /** When it is due, as far as was known when it was added or last re-armed. */
  due: string;
}

/** A wake-up: the outbox of this shard has something for the queue's group. */
export interface DrainJob {
  shard: number;
}

/** A row that PostgreSQL refused for its data; on the board it can be looked at and tried again. */
export interface RejectedJob {
  entry: unknown;
  reason: string;
}

/** `record-active`: last seen of those who stay; `restore-jobs`: missing timeout jobs; `settle-lost`: ghosts of a lost store. */
export type MaintenanceJobName = 'record-active' | 'restore-jobs' | 'settle-lost';

export const QUEUE_NAMES = ['timeouts', 'broadcasts', 'last-seen', 'notifications', 'maintenance'] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

/** Kept for the board: enough to see what was done lately, little enough to cost nothing. */
export const KEEP = {
  timeouts: { completed: 50, failed: 0 },
  broadcasts: { completed: 50, failed: 200 },
  'last-seen': { completed: 50, failed: 1000 },
  notifications: { completed: 200, failed: 1000 },
  maintenance: { completed: 50, failed: 100 },
} as const satisfies Record<QueueName, { completed: number; failed: number }>;

/** BullMQ allows no colon in an id; `!` occurs in no user id. The kind in front keeps it from being a whole number. */
export function timeoutJobId(name: TimeoutJobName, userId: string, number: string): string {
  return `${name}-${userId.replaceAll(':', '!')}-${number}`;
}
