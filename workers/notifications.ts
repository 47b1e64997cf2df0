import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import type { FriendActiveJob, NotificationJobName, PushJob } from '../src/queues/jobs.ts';
import type { Services } from '../src/stores.ts';
import { runFriendActive } from './alerts.ts';

export async function runNotification(services: Services, config: Config, job: Job<FriendActiveJob | PushJob>) {
  switch (job.name as NotificationJobName) {
    case 'friend-active':
      return runFriendActive(services, config, job as Job<FriendActiveJob>);
    case 'push':
      return moveToPushes(services, job as Job<PushJob>);
    default:
      return { unknown: job.name };
  }
}

/** Left here by a worker from before pushes had a queue of their own. Moved twice, it is one. */
async function moveToPushes({ queues }: Services, { id, data }: Job<PushJob>) {
  await queues.addPushes([{ id: (id ?? '').replace(/^push-/, ''), data }]);
  return { moved: 'to pushes' };
}
