import type { Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import { receiverOf } from '../src/config/webhook-settings.ts';
import { changesAfter, changesLeft, type FeedCursor, feedState } from '../src/postgres/change-feed.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { noteTakenUpTo, takenUpTo } from '../src/postgres/webhooks.ts';
import { feedChange, type WebhookDelivery, writeFeedCursor } from '../src/protocol/changes.ts';
import type { DeliverJob, RefusedJob, WebhookBatch, WebhookJobName } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';
import { postWebhook, type WebhookOutcome } from './webhook-post.ts';

const MOST_CHANGES = 100;
/** After a batch was too large, the one behind each that is taken may be larger by this part. */
const GROWS_BY = 1 / 10;
/** A run ends by then at the latest, so that a worker that is to stop need not wait for the end of a long backlog. */
const RUN_MS = 3000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** Where it was not the receiver that failed. */
const OWN_RETRY_MS = 2000;
/** However long a receiver asks to be left alone. */
const LONGEST_PAUSE_MS = 3_600_000;

/** The receiver did not take a batch; it is sent again after this long. */
class WebhookFailure extends Error {
  readonly delayMs: number;

  constructor(reason: string, delayMs: number) {
    super(reason);
    this.name = 'WebhookFailure';
    this.delayMs = delayMs;
  }
}

/** How long (ms) a batch waits for its next try, after an error that says for how long. */
export function retryWebhookAfter(_attemptsMade: number, _type?: string, error?: Error): number {
  return error instanceof WebhookFailure ? error.delayMs : OWN_RETRY_MS;
}

/** Hears what became of each post. */
export interface WebhookListener {
  posted(kind: WebhookOutcome['kind']): void;
}

/**
 * Runs a job of `webhooks`: posts what the receiver has not taken yet, or once more a batch that it refused. Throws
 * what says when to try again.
 */
export async function runWebhook(
  stores: Stores,
  { webhook }: Config,
  listener: WebhookListener,
  job: Job<DeliverJob | RefusedJob>,
) {
  if (webhook === null) return { dropped: 'webhooks are off' };
  const post: Post = async (delivery) => {
    const outcome = await postWebhook(webhook, delivery);
    listener.posted(outcome.kind);
    return outcome;
  };
  const name = job.name as WebhookJobName;
  try {
    switch (name) {
      case 'deliver':
        return await deliver(stores, receiverOf(webhook), post, job as Job<DeliverJob>);
      case 'refused':
        return await retryRefused(stores, post, job as Job<RefusedJob>);
      default:
        // Another release may have made it.
        return { unknown: name satisfies never };
    }
  } catch (error) {
    if (!isConnectionError(error) || job.name !== 'deliver') throw error;
    // The sweep asks for it again.
    return { waiting: 'PostgreSQL is away' };
  }
}

/** One batch after the other, each once the one before was taken and that is noted. */
async function deliver(stores: Stores, receiver: string, post: Post, job: Job<DeliverJob>) {
  const { db, queues } = stores;
  const until = performance.now() + RUN_MS;
  let deliveries = 0;
  while (performance.now() < until) {
    const from = await takenUpTo(db, receiver);
    const next = await nextBatch(stores, from, job.data);
    if (next === null) break;
    const { to, delivery, half } = next;
    if (delivery !== null) {
      if (from !== null) await note(job, { batch: batchOf(from, to) });
      const outcome = await post(delivery);
      const { reset = false, id, changes } = delivery;
      if (outcome.kind === 'refused' && outcome.tooLarge && from !== null && half !== null) {
        await note(job, { batch: batchOf(from, half), most: Math.ceil(changes.length / 2) });
        continue;
      }
      if (outcome.kind === 'refused' && !reset && from !== null) {
        const batch = batchOf(from, to);
        await queues.addRefused({ batch, delivery: id, changes: changes.length, reason: outcome.reason });
      } else if (outcome.kind !== 'taken') {
        const failures = job.data.failures + 1;
        await note(job, { failures, failingSince: job.data.failingSince ?? new Date().toISOString() });
        throw new WebhookFailure(outcome.reason, retryDelay(failures, outcome.retryAfterMs));
      }
      deliveries++;
    }
    await noteTakenUpTo(db, receiver, from, to);
    if (job.data.failures > 0) await note(job, { batch: null, failures: 0, failingSince: null });
    if (mostOf(job.data) < MOST_CHANGES)
      await note(job, { batch: null, most: Math.ceil(mostOf(job.data) * (1 + GROWS_BY)) });
  }
  return { deliveries };
}

const mostOf = ({ most = MOST_CHANGES }: DeliverJob) => Math.min(most, MOST_CHANGES);

async function note(job: Job<DeliverJob>, news: Partial<DeliverJob>): Promise<void> {
  await job.updateData({ ...job.data, ...news });
}

const batchOf = ({ feed, position }: FeedCursor, to: FeedCursor): WebhookBatch => ({
  feed,
  after: position,
  through: to.position,
});

interface NextBatch {
  to: FeedCursor;
  /** null: there is nothing in it, since the users were erased. */
  delivery: WebhookDelivery | null;
  /** Where the first half of it ends; null: there is nothing to halve. */
  half: FeedCursor | null;
}

type Post = (delivery: WebhookDelivery) => Promise<WebhookOutcome>;

/** What the receiver is to get next; a batch that was under way comes again as it was. Null: it has everything. */
async function nextBatch({ db }: Stores, from: FeedCursor | null, job: DeliverJob): Promise<NextBatch | null> {
  const { batch: underWay } = job;
  if (from === null) return reset((await feedState(db)).now);
  const again = underWay?.feed === from.feed && underWay.after === from.position;
  const page = again
    ? await changesAfter(db, from, MOST_CHANGES, underWay.through)
    : await changesAfter(db, from, mostOf(job));
  if (page.gone) return reset(page.next);
  const { next: to, changes } = page;
  if (changes.length === 0) return to.position === from.position ? null : { to, delivery: null, half: null };
  const middle = changes.length < 2 ? undefined : changes[Math.ceil(changes.length / 2) - 1];
  const half = middle ? { feed: from.feed, position: middle.position } : null;
  return { to, delivery: deliveryOf(batchOf(from, to), changes), half };
}

/** The receiver is to take a snapshot, and then goes on from now. */
function reset(to: FeedCursor): NextBatch {
  const nextCursor = writeFeedCursor(to);
  return { to, delivery: { id: `${to.feed}-reset-${to.position}`, reset: true, changes: [], nextCursor }, half: null };
}

function deliveryOf({ feed, after, through }: WebhookBatch, changes: Parameters<typeof feedChange>[0][]) {
  const nextCursor = writeFeedCursor({ feed, position: through });
  return { id: `${feed}-${after}-${through}`, changes: changes.map(feedChange), nextCursor };
}

/** Twice as long as before up to a limit, never the same for two; or as long as the receiver says, where that is longer. */
function retryDelay(failures: number, retryAfterMs: number | null): number {
  const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
  const own = longest * (0.5 + Math.random() / 2);
  return Math.round(Math.max(own, Math.min(retryAfterMs ?? 0, LONGEST_PAUSE_MS)));
}

/** First run: fails at once, which is what puts the batch on the board. A retry from there sends what is left of it. */
async function retryRefused({ db }: Stores, post: Post, job: Job<RefusedJob>) {
  if (job.attemptsMade === 0 && job.attemptsStarted <= 1) throw new Error(job.data.reason);
  const { batch } = job.data;
  const changes = await changesLeft(db, { feed: batch.feed, position: batch.after }, batch.through);
  if (changes.length === 0) return { dropped: 'nothing of it is kept any more' };
  const outcome = await post(deliveryOf(batch, changes));
  if (outcome.kind !== 'taken') throw new Error(outcome.reason);
  return { changes: changes.length };
}
