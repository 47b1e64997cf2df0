import { type Job, UnrecoverableError } from 'bullmq';
import type { Config } from '../src/config.ts';
import { friendToTell } from '../src/postgres/alerts.ts';
import { removeSubscription, subscriptionsOf } from '../src/postgres/push-subscriptions.ts';
import type { PushMessage } from '../src/protocol/push.ts';
import type { FriendActiveJob, NotificationJobName, PushJob } from '../src/queues/jobs.ts';
import type { Services } from '../src/services.ts';
import { isStillActive, nameOf, runFriendActive } from './alerts.ts';
import { sendPush } from './push.ts';

const FIRST_RETRY_MS = 1000;

/** A push service did not take a message and may take it later. */
class PushFailure extends Error {
  readonly retryAfterMs: number | null;

  constructor(reason: string, retryAfterMs: number | null) {
    super(reason);
    this.name = 'PushFailure';
    this.retryAfterMs = retryAfterMs;
  }
}

/** How long a message waits for its next try: as long as it was asked to, else twice as long as before. */
export function retryDelay(attemptsMade: number, _type?: string, error?: Error): number {
  if (error instanceof PushFailure && error.retryAfterMs !== null) return error.retryAfterMs;
  return FIRST_RETRY_MS * 2 ** (attemptsMade - 1);
}

export async function runNotification(services: Services, config: Config, job: Job<FriendActiveJob | PushJob>) {
  switch (job.name as NotificationJobName) {
    case 'friend-active':
      return runFriendActive(services, config, job as Job<FriendActiveJob>);
    case 'push':
      return runPush(services, config, job as Job<PushJob>);
    default:
      return { unknown: job.name };
  }
}

/** One try. Each looks again whether it is still true and may still be told, for the last one may be minutes ago. */
async function runPush(services: Services, config: Config, job: Job<PushJob>) {
  const { vapid, pushAllowPrivate: allowPrivate } = config;
  const { db } = services;
  const { to, userId, at } = job.data;
  if (vapid === null) return { dropped: 'push is off' };
  const subscription = (await subscriptionsOf(db, [to])).find(
    ({ endpoint }) => nameOf(endpoint) === job.data.subscription,
  );
  if (!subscription) return { dropped: 'the subscription has ended' };
  const friend = await friendToTell(db, to, userId);
  if (friend === null) return { dropped: 'may not be told any more' };
  if (!(await isStillActive(services, { userId, at: Date.parse(at) }))) return { dropped: 'not active any more' };

  const named = friend.displayName === null ? {} : { displayName: friend.displayName };
  const message: PushMessage = { type: 'friend_active', userId, at, ...named };
  const topic = nameOf(subscription.endpoint, userId);
  const outcome = await sendPush(subscription, message, { vapid, allowPrivate, topic });
  switch (outcome.kind) {
    case 'sent':
      return { sent: true };
    case 'gone':
      await removeSubscription(db, to, subscription.endpoint);
      return { removed: 'the push service knows the subscription no more' };
    case 'refused':
      throw new UnrecoverableError(outcome.reason);
    case 'later':
      throw new PushFailure(outcome.reason, outcome.retryAfterMs);
  }
}
