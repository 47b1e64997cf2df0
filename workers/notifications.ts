import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import type { FriendActiveJob, NotificationJobName, PushJob } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';
import { runFriendActive } from './alerts.ts';

/** Runs a job of `notifications`: tells friends of an activation, or moves a push to the queue of its own. */
export async function runNotification(stores: Stores, config: Config, job: Job<FriendActiveJob | PushJob>) {
  const name = job.name as NotificationJobName;
  switch (name) {
    case 'friend-active':
      return runFriendActive(stores, config, job as Job<FriendActiveJob>);
    case 'push':
      return moveToPushes(stores, job as Job<PushJob>);
    default:
      // Another release may have made it.
      return { unknown: name satisfies never };
  }
}

/** Left here by a worker from before pushes had a queue of their own. Moved twice, it is one. */
async function moveToPushes({ queues }: Stores, { id, data }: Job<PushJob>) {
  await queues.addPushes([{ id: (id ?? '').replace(/^push-/, ''), data }]);
  return { moved: 'to pushes' };
}
