import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import { friendToTell } from '../src/postgres/alerts.ts';
import {
  noteGivenUp,
  noteMessageTaken,
  type PushSubscription,
  removeSubscription,
  subscriptionsOf,
} from '../src/postgres/push-subscriptions.ts';
import type { PushMessage } from '../src/protocol/push.ts';
import type { PushJob } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';
import { digestOf, isStillActive } from './alerts.ts';
import { PUSH_TTL_SECONDS, type PushOutcome, type PushTry, sendPush } from './push-post.ts';

const FIRST_RETRY_MS = 1000;
/** Who finds no place comes again soon at first: most tries are over in a moment. */
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 60_000;
/** Not all who wait for a host come at the same moment. */
const SPREAD_MS = 15_000;

/** A push service did not take a message and may take it later. */
class PushFailure extends Error {
  readonly retryAfterMs: number | null;

  constructor(reason: string, retryAfterMs: number | null) {
    super(reason);
    this.name = 'PushFailure';
    this.retryAfterMs = retryAfterMs;
  }
}

/** How long (ms) a message waits for its next try: twice as long as before, or as long as it was asked to where that is longer. */
export function retryPushAfter(attemptsMade: number, _type?: string, error?: Error): number {
  const asked = error instanceof PushFailure ? error.retryAfterMs : null;
  return Math.max(FIRST_RETRY_MS * 2 ** (attemptsMade - 1), asked ?? 0);
}

/** `waiting`: no try, since too many were in flight or the host is left alone. */
export type PushResult = PushOutcome['kind'] | 'waiting';

/** Hears what became of each push. */
export interface PushListener {
  pushed(result: PushResult): void;
  /** A push service is left alone from now on, for it did not answer. */
  leftAlone(host: string): void;
}

/**
 * Makes one try to send a Web Push, or none where it is not its turn: then the job waits where it holds up nobody, and
 * no try is used up. Each try looks again whether it is still true and may still be told, for the last one may be
 * minutes ago.
 */
export async function runPush(
  stores: Stores,
  config: Config,
  listener: PushListener,
  job: Job<PushJob>,
  token: string | undefined,
) {
  const { vapid } = config;
  if (vapid === null) return { dropped: 'push is off' };
  if (Date.now() >= expiryOf(job)) return expire(stores, job);
  const turn = await stores.pushPlaces.take(job.data.service, job.data.to);
  if (turn.place === null) {
    listener.pushed('waiting');
    const at = Date.now() + waitMs(job, turn.pausedMs);
    if (at >= expiryOf(job)) return expire(stores, job);
    await job.moveToDelayed(at, token);
    throw new DelayedError();
  }

  let tried: PushTry | null = null;
  let subscription: PushSubscription;
  try {
    const next = await prepare(stores, job);
    if ('dropped' in next) return next;
    subscription = next.subscription;
    const topic = digestOf(subscription.endpoint, job.data.userId);
    tried = await sendPush(subscription, next.message, { vapid, allowPrivate: config.pushAllowPrivate, topic });
  } finally {
    const { behaviour = 'unknown', tookMs = 0 } = tried ?? {};
    // A place that is not given back lapses; what was sent must not be sent again because of it.
    const leftAlone = await stores.pushPlaces.giveBack(turn.place, behaviour, tookMs).catch(() => false);
    if (leftAlone) listener.leftAlone(job.data.service);
  }
  listener.pushed(tried.outcome.kind);
  return conclude(stores, job, subscription, tried.outcome);
}

/** A message is no news after that, however often it was tried. */
const expiryOf = ({ timestamp }: Job) => timestamp + PUSH_TTL_SECONDS * 1000;

/** The subscription and what it is to be told, or why there is nothing to tell any more. */
async function prepare(
  stores: Stores,
  job: Job<PushJob>,
): Promise<{ dropped: string } | { subscription: PushSubscription; message: PushMessage }> {
  const { to, userId, at } = job.data;
  const subscription = await subscriptionOf(stores, job);
  if (!subscription) return { dropped: 'the subscription has ended' };
  const friend = await friendToTell(stores.db, to, userId);
  if (friend === null) return { dropped: 'may not be told any more' };
  if (friend.dnd) return { dropped: 'wants to be left alone' };
  if (!(await isStillActive(stores, { userId, at: Date.parse(at) }))) return { dropped: 'not active any more' };
  const named = friend.displayName === null ? {} : { displayName: friend.displayName };
  return { subscription, message: { type: 'friend_active', userId, at, ...named } };
}

async function subscriptionOf({ db }: Stores, { data }: Job<PushJob>): Promise<PushSubscription | undefined> {
  return (await subscriptionsOf(db, [data.to])).find(({ endpoint }) => digestOf(endpoint) === data.subscription);
}

async function conclude(stores: Stores, job: Job<PushJob>, { endpoint }: PushSubscription, outcome: PushOutcome) {
  const { db } = stores;
  const { to } = job.data;
  switch (outcome.kind) {
    case 'sent':
      // What was sent must not be sent again because PostgreSQL went away; the next that is taken is noted.
      await noteMessageTaken(db, to, endpoint).catch(() => {});
      return { sent: true };
    case 'gone':
      await removeSubscription(db, to, endpoint);
      return { removed: 'the push service knows the subscription no more' };
    case 'refused':
      throw new UnrecoverableError(await giveUp(stores, job, endpoint, outcome.reason));
    case 'later': {
      const { reason, retryAfterMs } = outcome;
      if (Date.now() + (retryAfterMs ?? 0) >= expiryOf(job)) {
        throw new UnrecoverableError(`${reason}, and not to come back before it is no news any more`);
      }
      const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      throw new PushFailure(isLast ? await giveUp(stores, job, endpoint, reason) : reason, retryAfterMs);
    }
  }
}

/** Counts the message against its subscription, whose last it may have been. Returns the reason for the board. */
async function giveUp({ db }: Stores, { data }: Job<PushJob>, endpoint: string, reason: string): Promise<string> {
  const removed = await noteGivenUp(db, data.to, endpoint);
  return removed ? `${reason}, as always of late: the subscription was removed` : reason;
}

/** Too late. A message that was tried and not taken counts like any other that was given up. */
async function expire(stores: Stores, job: Job<PushJob>) {
  const dropped = 'no news any more';
  const subscription = job.attemptsMade > 0 ? await subscriptionOf(stores, job) : undefined;
  if (!subscription) return { dropped };
  return { dropped: await giveUp(stores, job, subscription.endpoint, dropped) };
}

/** How long a message waits that is not to be tried now: `pausedMs` where its host is left alone. */
function waitMs({ attemptsStarted, attemptsMade }: Job, pausedMs: number | null): number {
  if (pausedMs !== null) return pausedMs + Math.random() * SPREAD_MS;
  const before = attemptsStarted - attemptsMade - 1;
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(before, 20));
  return Math.round(longest * (0.5 + Math.random() / 2));
}
