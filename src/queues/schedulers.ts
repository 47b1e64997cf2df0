import { isDeepStrictEqual } from 'node:util';
import type { JobsOptions, Queue } from 'bullmq';
import type { MaintenanceJobName } from './jobs.ts';

const EVERY_MS: Record<MaintenanceJobName, number> = {
  // An active user's last seen is at most five minutes old in PostgreSQL: twice this and the work itself fit in.
  'record-active': 120_000,
  // "Within a minute" holds with one run missed.
  'restore-jobs': 20_000,
  'settle-lost': 10_000,
  'compare-privacy': 600_000,
  // Asked for besides whenever Redis is there anew, and for as long as that run could not end it.
  'complete-seen': 60_000,
  'prune-seen': 3_600_000,
  // More than once in a minute, so that none is skipped by a run that comes a little late.
  'note-minute': 30_000,
  // They reach days ahead.
  'make-partitions': 3_600_000,
  'drop-old': 600_000,
  // Nothing is kept for longer.
  'compare-members': 180_000,
};

/** The states in which a run is still to come or under way. */
const COMING: ReadonlySet<string> = new Set(['delayed', 'waiting', 'active', 'prioritized']);

/**
 * Makes sure that each repeating job of `maintenance` has a scheduler as it should be and a run that is still to come; safe to
 * repeat, by one process at a time. What is in order is left as it is: BullMQ does not find the run of a scheduler that waits in a
 * paused queue and would add another each time, and one that waits elsewhere would be as if it had been added just now.
 */
export async function assertSchedulers(maintenance: Queue, opts: JobsOptions): Promise<void> {
  for (const [name, every] of Object.entries(EVERY_MS)) {
    if (await isInOrder(maintenance, name, every, opts)) continue;
    await maintenance.upsertJobScheduler(name, { every }, { name, data: {}, opts });
  }
}

async function isInOrder(maintenance: Queue, name: string, every: number, opts: JobsOptions): Promise<boolean> {
  const scheduler = await maintenance.getJobScheduler(name);
  if (scheduler?.name !== name || scheduler.every !== every || !scheduler.next) return false;
  if (!isDeepStrictEqual(scheduler.template?.opts ?? {}, opts)) return false;
  return COMING.has(await maintenance.getJobState(`repeat:${name}:${scheduler.next}`));
}
