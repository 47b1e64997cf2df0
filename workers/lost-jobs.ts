import { ErrorCode } from 'bullmq';

const LOST = new Set<unknown>([ErrorCode.JobNotExist, ErrorCode.JobLockNotExist, ErrorCode.JobLockMismatch]);

/**
 * Whether a job was taken from this worker: another one took it up because this one stood still, or Redis lost it. What
 * it was to do is done by the other one, or by the sweep.
 */
export function isJobLost(error: Error & { code?: unknown }): boolean {
  // The library names a lock that it could not renew in words alone.
  return LOST.has(error.code) || error.message.startsWith('could not renew lock for job');
}
