import { DelayedError, type Job } from 'bullmq';
import type { FollowUps } from '../src/queues/follow-ups.ts';
import { type ClosedTogetherJob, numberOfCheck, type TimeoutJob } from '../src/queues/jobs.ts';
import { shardOf } from '../src/redis/keys.ts';
import type { Stores } from '../src/stores.ts';

/** Rather a little late than twice: the queue runs by this process's clock, deadlines by Redis's. */
const SLACK_MS = 5;

/**
 * Looks at one user. Where the deadline has moved on, the user's own job (`check`) sleeps until then; nothing was
 * written to the queue for the heartbeats in between.
 */
export async function runTimeout(
  { store, queues }: Stores,
  followUps: FollowUps,
  job: Job<TimeoutJob | ClosedTogetherJob>,
  token: string | undefined,
) {
  if ('userIds' in job.data) return settleAll(store, followUps, job.data.userIds);
  const { userId } = job.data;
  const number = job.name === 'check' ? numberOfCheck(job.id ?? '') : '';
  const shard = shardOf(userId);
  const { user, followUp } = await store.expireOne(userId, number);
  followUps.add(followUp);
  // Where the jobs are spread over another number of queues than before, the user has another in the right one by now.
  const isOwn = job.name === 'check' && job.queueName === queues.timeouts.of(shard).name;
  if (isOwn && user.nextMs !== null && user.job === number) {
    const due = Date.now() + user.nextMs + SLACK_MS;
    await job.updateData({ userId, due: new Date(due).toISOString() });
    await job.moveToDelayed(due, token);
    throw new DelayedError();
  }
  return { announced: user.announced };
}

/** Asked for in one turn, they are one call. What fails for one is not to keep it from the others; the sweep makes up for it. */
async function settleAll(store: Stores['store'], followUps: FollowUps, userIds: readonly string[]) {
  const looked = await Promise.allSettled(userIds.map((userId) => store.expireOne(userId, '')));
  let announced = 0;
  for (const one of looked) {
    if (one.status === 'rejected') continue;
    followUps.add(one.value.followUp);
    if (one.value.user.announced !== null) announced++;
  }
  const failed = looked.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return { announced };
}
