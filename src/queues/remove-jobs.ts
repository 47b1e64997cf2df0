import type { JobType, Queue } from 'bullmq';
import { isTimeoutQueue, kindOf, type QueueName, USERS_NAMED } from './jobs.ts';

const AT_ONCE = 1000;
/** Few enough to be read whole. */
const BOUNDED: JobType[] = ['completed', 'failed', 'wait', 'prioritized', 'active'];

/** How many jobs went, and how many could not, for somebody is at work on them. */
export interface RemovedJobs {
  removed: number;
  atWork: number;
}

/**
 * Removes the jobs that speak of the user from those of these queues that name users (USERS_NAMED), but with `keepTimeouts` from
 * those of timeouts. Rejects where Redis is away.
 */
export async function removeJobsOf(
  queues: ReadonlyMap<QueueName, Queue>,
  userId: string,
  keepTimeouts: boolean,
): Promise<RemovedJobs> {
  const all: RemovedJobs = { removed: 0, atWork: 0 };
  for (const [name, queue] of queues) {
    const named = USERS_NAMED[kindOf(name)];
    if (named === 'nowhere' || (isTimeoutQueue(name) && keepTimeouts)) continue;
    const inId = named === 'data' ? null : (jobId: string) => named(jobId, userId);
    const { removed, atWork } = await removeFrom(queue, userId, inId);
    all.removed += removed;
    all.atWork += atWork;
  }
  return all;
}

/**
 * Removes every job of a queue that speaks of the user, and the queue's own record of what happened to them. Jobs that
 * wait for their time may be a million: of those it is the id that tells, where ids do (`inId`). Rejects where Redis is away.
 */
async function removeFrom(
  queue: Queue,
  userId: string,
  inId: ((jobId: string) => boolean) | null,
): Promise<RemovedJobs> {
  const found = new Set<string>();
  const word = JSON.stringify(userId);
  const states: JobType[] = inId ? BOUNDED : [...BOUNDED, 'delayed'];
  for (let from = 0; ; from += AT_ONCE) {
    const jobs = await queue.getJobs(states, from, from + AT_ONCE - 1);
    for (const job of jobs) {
      if (job?.id && JSON.stringify([job.data, job.returnvalue, job.failedReason]).includes(word)) found.add(job.id);
    }
    if (jobs.length === 0) break;
  }
  for (let from = 0; inId; from += AT_ONCE) {
    const ids = await queue.getRanges(['delayed'], from, from + AT_ONCE - 1);
    for (const id of ids) if (inId(id)) found.add(id);
    if (ids.length === 0) break;
  }
  let removed = 0;
  for (const id of found) removed += await queue.remove(id);
  await queue.trimEvents(0);
  return { removed, atWork: found.size - removed };
}
