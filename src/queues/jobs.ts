import type { NotedAct } from '../presence/acts.ts';
import { ONCE, type Once } from '../presence/follow-up.ts';

/** What the jobs carry. Operators read it on the board, so it says whom and what a job is about. */

/** `check`: the one delayed job of an active user. The others look once, at a moment that came nearer. */
export const TIMEOUT_JOB_NAMES = ['check', ...ONCE] as const;
export type TimeoutJobName = 'check' | Once;

export interface TimeoutJob {
  userId: string;
  /** When it is due, as far as was known when it was added or last re-armed. */
  due: string;
}

/** A `closed` that names all whose last sessions closed in that moment. */
export interface ClosedTogetherJob {
  userIds: string[];
  due: string;
}

/** A wake-up: the outboxes of these shards have something for the queue's group. */
export interface DrainJob {
  shards: number[];
}

/** A row that PostgreSQL refused for its data; on the board it can be looked at and tried again. */
export interface RejectedJob {
  entry: unknown;
  reason: string;
}

/**
 * `friend-active`: somebody came back, and friends asked to hear of it. `push` is what stood here before pushes had a queue
 * of their own, and goes there.
 */
export type NotificationJobName = 'friend-active' | 'push';

export interface FriendActiveJob {
  /** Who became active, with that version and at that moment. */
  userId: string;
  version: number;
  at: string;
  /** How far it has come: told up to this user, of whom the last ones (`telling`) may not have been. */
  after?: string;
  telling?: string[];
}

/** A job that tells one user, by Web Push on one browser, that another became active. */
export interface PushJob {
  /** Who is told that `userId` became active. */
  to: string;
  userId: string;
  at: string;
  /** Stands for the subscription, whose address and keys are secrets. */
  subscription: string;
  /** The host of the push service. */
  service: string;
}

/**
 * `deliver`: the one job of a webhook that posts the change feed, a batch after the other, and stays for as long as the receiver
 * does not take one; `refused`: a batch that the receiver will not have, waiting to be sent again from the board.
 */
export type WebhookJobName = 'deliver' | 'refused';

export interface DeliverJob {
  /** Its name among WEBHOOKS; the one of WEBHOOK_URL has none. */
  webhook?: string;
  /** The batch under way: it comes again as it was. Null: whatever is next. */
  batch: WebhookBatch | null;
  /** How many tries have failed in a row, and since when. */
  failures: number;
  failingSince: string | null;
  /** So many changes at most, since the receiver said that more were too large. */
  most?: number;
}

/** A part of the change feed, by positions: it names nobody. */
export interface WebhookBatch {
  feed: string;
  after: number;
  through: number;
}

export interface RefusedJob {
  /** As of a `deliver`. */
  webhook?: string;
  batch: WebhookBatch;
  delivery: string;
  changes: number;
  reason: string;
}

/** The id of a job about a webhook; the one of WEBHOOK_URL has no name to put at the end. */
export function webhookJobId(name: WebhookJobName, ...about: (string | number | undefined)[]): string {
  return [name, ...about.filter((part) => part !== undefined)].join('-');
}

/** Somebody was erased: what queues still hold of them goes too, and then this job. */
export interface EraseTracesJob {
  userId: string;
}

/** What operators and services did (and when, ms) while PostgreSQL was away: it is brought there. */
export interface NoteActsJob {
  acts: NotedAct[];
  at: number;
}

/**
 * `record-active`: last seen of those who stay; `restore-jobs`: missing timeout jobs; `settle-lost`: ghosts of a lost store;
 * `compare-privacy`: who may see whom, in Redis as in PostgreSQL;
 * `complete-seen`: who was seen before the store was lost; `prune-seen`: who was not seen for 30 days; `note-minute`: the
 * timeline; `make-partitions`: room for the history of the next days; `drop-old`: history beyond its retention;
 * `compare-members`: members of conversations that Redis keeps and PostgreSQL does not know. `erase-traces` comes once,
 * after an erasure, and `note-acts` where an act could not be noted at once.
 */
export type MaintenanceJobName =
  | 'record-active'
  | 'restore-jobs'
  | 'settle-lost'
  | 'compare-privacy'
  | 'complete-seen'
  | 'prune-seen'
  | 'note-minute'
  | 'make-partitions'
  | 'drop-old'
  | 'compare-members';

export const OTHER_QUEUES = ['broadcasts', 'last-seen', 'notifications', 'pushes', 'webhooks', 'maintenance'] as const;
type OtherQueue = (typeof OTHER_QUEUES)[number];
export type TimeoutQueue = 'timeouts' | `timeouts-${number}`;
export type QueueName = TimeoutQueue | OtherQueue;
/** Of several queues of timeouts each is like the first. */
export type QueueKind = 'timeouts' | OtherQueue;

/** Over how many queues the timeout jobs can be spread: one for each shard. */
export const MOST_TIMEOUT_QUEUES = 16;

/** The names of `count` queues of timeouts. */
export function timeoutQueueNames(count: number): TimeoutQueue[] {
  return Array.from({ length: count }, (_, n): TimeoutQueue => (n === 0 ? 'timeouts' : `timeouts-${n + 1}`));
}

/** Whether a queue is one of those of timeouts. */
export function isTimeoutQueue(name: string): name is TimeoutQueue {
  return /^timeouts(-\d+)?$/.test(name);
}

/** The kind of a queue: all queues of timeouts are of one. */
export function kindOf(name: QueueName): QueueKind {
  return isTimeoutQueue(name) ? 'timeouts' : name;
}

/** Whether a job is about a user, as its id tells. */
type IsJobOf = (jobId: string, userId: string) => boolean;

/**
 * Where the jobs of a queue name users, for an erasure, which removes those: `data`, each as a string of its own in what a job
 * carries or returns; a function, where too many to be read wait for their time: of those their ids tell it; or `nowhere`.
 */
export const USERS_NAMED = {
  timeouts: isTimeoutJobOf,
  broadcasts: 'nowhere',
  'last-seen': 'data',
  notifications: 'data',
  pushes: 'data',
  webhooks: 'nowhere',
  // But for the job that erases, which ends with that, and acts, of which the audit takes none by an erased one's name.
  maintenance: 'nowhere',
} as const satisfies Record<QueueKind, 'data' | 'nowhere' | IsJobOf>;

/** Kept for the board: enough to see what was done lately, little enough to cost nothing. */
export const KEEP = {
  timeouts: { completed: 50, failed: 0 },
  broadcasts: { completed: 50, failed: 200 },
  'last-seen': { completed: 50, failed: 1000 },
  notifications: { completed: 200, failed: 1000 },
  pushes: { completed: 200, failed: 1000 },
  webhooks: { completed: 50, failed: 1000 },
  maintenance: { completed: 50, failed: 100 },
} as const satisfies Record<QueueKind, { completed: number; failed: number }>;

/**
 * The id of a timeout job. BullMQ allows no colon in one; `!` occurs in no user id. The kind in front keeps it from
 * being a whole number.
 */
export function timeoutJobId(name: TimeoutJobName, userId: string, number: string): string {
  return `${name}-${userId.replaceAll(':', '!')}-${number}`;
}

/** The number under which the user's record knows a `check`. */
export function numberOfCheck(jobId: string): string {
  return jobId.slice(jobId.lastIndexOf('-') + 1);
}

/** The id of the job that tells of an activation: one activation is one job, however often it is added. */
export function friendActiveJobId({ userId, version }: Pick<FriendActiveJob, 'userId' | 'version'>): string {
  return `friend-active-${userId.replaceAll(':', '!')}-${version}`;
}

/** Whether a timeout job is about this user, as its id tells. */
export function isTimeoutJobOf(jobId: string, userId: string): boolean {
  const named = userId.replaceAll(':', '!');
  const name = TIMEOUT_JOB_NAMES.find((each) => jobId.startsWith(`${each}-`));
  if (name === undefined) return false;
  const rest = jobId.slice(name.length + 1);
  return rest.startsWith(`${named}-`) && !rest.slice(named.length + 1).includes('-');
}
