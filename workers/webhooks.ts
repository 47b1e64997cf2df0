import { DelayedError, type Job } from 'bullmq';
import type { Config } from '../src/config/config.ts';
import { DEFAULT_WEBHOOK, receiverOf, type WebhookSettings } from '../src/config/webhook-settings.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { noteTakenUpTo, takenUpTo } from '../src/postgres/webhooks.ts';
import type { WebhookDelivery } from '../src/protocol/changes.ts';
import type { DeliverJob, RefusedJob, WebhookJobName } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';
import { batchAgain, batchOf, grownAfter, nextBatch } from './webhook-batches.ts';
import { postWebhook, type WebhookOutcome } from './webhook-post.ts';

/** A run ends by then at the latest, so that a worker that is to stop need not wait for the end of a long backlog. */
const RUN_MS = 3000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** Where it was not the receiver that failed. */
const OWN_RETRY_MS = 2000;
/** One batch that was refused is sent again at a time; the others of its receiver look again so soon. */
const NEXT_REFUSED_MS = 1000;
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

/** Hears what became of each post, by the name of its webhook. */
export interface WebhookListener {
  posted(webhook: string, kind: WebhookOutcome['kind']): void;
}

/**
 * How many jobs a worker needs to have in hand, so that no webhook waits for another whose receiver is slow: of each the one that
 * posts the feed, and one that was refused.
 */
export function webhooksAtOnce({ webhooks }: Pick<Config, 'webhooks'>): number {
  return Math.max(1, webhooks.length * 2);
}

/**
 * Runs a job of `webhooks`: posts what its receiver has not taken yet, or once more a batch that it refused. Throws
 * what says when to try again.
 */
export async function runWebhook(
  stores: Stores,
  { webhooks }: Pick<Config, 'webhooks'>,
  listener: WebhookListener,
  job: Job<DeliverJob | RefusedJob>,
  token: string | undefined,
) {
  const { webhook: called = DEFAULT_WEBHOOK } = job.data;
  const webhook = webhooks.find((one) => one.name === called);
  // The settings have become others. Were it not so everywhere, the sweep would ask for it again.
  if (webhook === undefined) return { dropped: `there is no webhook ${called} in the settings` };
  const post: Post = async (delivery) => {
    const outcome = await postWebhook(webhook, delivery);
    listener.posted(called, outcome.kind);
    return outcome;
  };
  const name = job.name as WebhookJobName;
  try {
    switch (name) {
      case 'deliver':
        return await deliver(stores, webhook, post, job as Job<DeliverJob>);
      case 'refused':
        return await retryRefused(stores, webhook, post, job as Job<RefusedJob>, token);
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
async function deliver(stores: Stores, settings: WebhookSettings, post: Post, job: Job<DeliverJob>) {
  const { db, queues } = stores;
  const receiver = receiverOf(settings);
  const told = { ...settings, webhook: job.data.webhook };
  const until = performance.now() + RUN_MS;
  let deliveries = 0;
  while (performance.now() < until) {
    const from = await takenUpTo(db, receiver);
    const next = await nextBatch(stores, told, from, job.data);
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
        const { webhook } = job.data;
        const named = webhook === undefined ? {} : { webhook };
        await queues.addRefused({ ...named, batch, delivery: id, changes: changes.length, reason: outcome.reason });
      } else if (outcome.kind !== 'taken') {
        const failures = job.data.failures + 1;
        await note(job, { failures, failingSince: job.data.failingSince ?? new Date().toISOString() });
        throw new WebhookFailure(outcome.reason, retryDelay(failures, outcome.retryAfterMs));
      }
      deliveries++;
    }
    await noteTakenUpTo(db, receiver, from, to);
    if (job.data.failures > 0) await note(job, { batch: null, failures: 0, failingSince: null });
    const grown = grownAfter(job.data);
    if (grown) await note(job, grown);
  }
  return { deliveries };
}

async function note(job: Job<DeliverJob>, news: Partial<DeliverJob>): Promise<void> {
  await job.updateData({ ...job.data, ...news });
}

type Post = (delivery: WebhookDelivery) => Promise<WebhookOutcome>;

/** Twice as long as before up to a limit, never the same for two; or as long as the receiver says, where that is longer. */
function retryDelay(failures: number, retryAfterMs: number | null): number {
  const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
  const own = longest * (0.5 + Math.random() / 2);
  return Math.round(Math.max(own, Math.min(retryAfterMs ?? 0, LONGEST_PAUSE_MS)));
}

/** Webhooks of which this process is sending again a batch that was refused. */
const sendingAgain = new Set<string>();

/** First run: fails at once, which is what puts the batch on the board. A retry from there sends what is left of it. */
async function retryRefused(
  stores: Stores,
  settings: WebhookSettings,
  post: Post,
  job: Job<RefusedJob>,
  token: string | undefined,
) {
  if (job.attemptsMade === 0 && job.attemptsStarted <= 1) throw new Error(job.data.reason);
  const { name } = settings;
  if (sendingAgain.has(name)) {
    // A thousand of a receiver that is slow would leave no room for those of another.
    await job.moveToDelayed(Date.now() + NEXT_REFUSED_MS, token);
    throw new DelayedError();
  }
  sendingAgain.add(name);
  try {
    const delivery = await batchAgain(stores, { ...settings, webhook: job.data.webhook }, job.data.batch);
    if (delivery === null) return { dropped: 'nothing of it is kept any more' };
    const outcome = await post(delivery);
    if (outcome.kind !== 'taken') throw new Error(outcome.reason);
    return { changes: delivery.changes.length };
  } finally {
    sendingAgain.delete(name);
  }
}
