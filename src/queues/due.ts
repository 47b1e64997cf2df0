import type { Job, Queue } from 'bullmq';
import type { TimeoutJob } from './jobs.ts';

/** BullMQ's score of a job that waits for its time: the moment in milliseconds, and twelve bits for the order within it. */
const SCORES_A_MS = 0x1000;

/** The Redis client that BullMQ speaks to for a queue. */
export const clientOf = (queue: Queue) => queue.getBackend().client;

/** When (ms since 1970) each of these jobs will run, as far as they are delayed; null for those that are not. */
export async function dueTimes(queue: Queue, jobIds: readonly string[]): Promise<(number | null)[]> {
  const client = await clientOf(queue);
  const scores = await Promise.all(jobIds.map((jobId) => client.zscore(queue.toKey('delayed'), jobId)));
  return scores.map((score) => (score === null ? null : momentOf(score)));
}

/** When (ms since 1970) the delayed job that comes first is due; null where there is none. */
export async function firstDue(queue: Queue): Promise<number | null> {
  const client = await clientOf(queue);
  const [, score] = await client.zrange(queue.toKey('delayed'), 0, 0, { WITHSCORES: true });
  return score === undefined ? null : momentOf(score);
}

const momentOf = (score: string) => Math.floor(Number(score) / SCORES_A_MS);

/**
 * Since when (ms since 1970) a job that waits for a worker has been due; null where it does not tell. BullMQ forgets the
 * delay of a job when its time has come, so what tells is what was fixed when it was added: its scheduler's slot, or the
 * delay it was added with. Of a job that was tried before it is neither, but what it was given when it was put back.
 */
export function dueSince({ id = '', data, opts, timestamp, attemptsMade, attemptsStarted, stalledCounter }: Job) {
  const due = Date.parse((data as Partial<TimeoutJob> | null)?.due ?? '');
  if (!Number.isNaN(due)) return due;
  // A worker that died does not count: what it had begun has been due all along.
  if (attemptsMade > 0 || attemptsStarted > stalledCounter) return null;
  const slot = /^repeat:.*:(\d+)$/.exec(id)?.[1];
  return slot === undefined ? timestamp + (opts.delay ?? 0) : Number(slot);
}
