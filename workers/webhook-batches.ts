import { FEED_TYPES, type WebhookSettings } from '../src/config/webhook-settings.ts';
import { changesAfter, changesLeft, type FedChange, type FeedCursor, feedState } from '../src/postgres/change-feed.ts';
import { feedChange, type WebhookDelivery, writeFeedCursor } from '../src/protocol/changes.ts';
import type { DeliverJob, WebhookBatch } from '../src/queues/jobs.ts';
import type { Stores } from '../src/stores.ts';

const MOST_CHANGES = 100;
/** So many changes of the feed are looked through at once for what a webhook of a part of it is told. */
const LOOKED_THROUGH = 1000;
/** After a batch was too large, the one behind each that is taken may be larger by this part. */
const GROWS_BY = 1 / 10;

/** Which part of the change feed a webhook is told, and under which name its deliveries go; none for that of `WEBHOOK_URL`. */
export interface Told extends Pick<WebhookSettings, 'types' | 'users' | 'rooms'> {
  webhook: string | undefined;
}

export interface NextBatch {
  to: FeedCursor;
  /** null: there is nothing in it for this webhook, or the users were erased. */
  delivery: WebhookDelivery | null;
  /** Where the first half of it ends; null: there is nothing to halve. */
  half: FeedCursor | null;
}

/** What the receiver is to get next; a batch that was under way comes again as it was. Null: it has everything. */
export async function nextBatch(
  { db }: Stores,
  told: Told,
  from: FeedCursor | null,
  job: DeliverJob,
): Promise<NextBatch | null> {
  const { batch: underWay } = job;
  if (from === null) return reset(told, (await feedState(db)).now);
  const again = underWay?.feed === from.feed && underWay.after === from.position;
  const most = again ? MOST_CHANGES : mostOf(job);
  const looked = isAll(told) ? most : LOOKED_THROUGH;
  const page = await changesAfter(db, from, looked, again ? underWay.through : undefined);
  if (page.gone) return reset(told, page.next);
  const wanted = page.changes.filter((change) => isTold(told, change));
  const changes = wanted.slice(0, most);
  const last = changes.at(-1);
  const to = wanted.length > most && last ? { feed: from.feed, position: last.position } : page.next;
  if (changes.length === 0) return to.position === from.position ? null : { to, delivery: null, half: null };
  const middle = changes.length < 2 ? undefined : changes[Math.ceil(changes.length / 2) - 1];
  const half = middle ? { feed: from.feed, position: middle.position } : null;
  return { to, delivery: deliveryOf(told, batchOf(from, to), changes), half };
}

/** A batch that was refused, as far as it is still kept; null: nothing of it is. */
export async function batchAgain({ db }: Stores, told: Told, batch: WebhookBatch): Promise<WebhookDelivery | null> {
  const left = await changesLeft(db, { feed: batch.feed, position: batch.after }, batch.through);
  const changes = left.filter((change) => isTold(told, change));
  return changes.length === 0 ? null : deliveryOf(told, batch, changes);
}

/** The part of the feed behind one cursor and up to another. */
export const batchOf = ({ feed, position }: FeedCursor, to: FeedCursor): WebhookBatch => ({
  feed,
  after: position,
  through: to.position,
});

/** What a job notes once a batch was taken; null: nothing. */
export function grownAfter(job: DeliverJob): Partial<DeliverJob> | null {
  const most = mostOf(job);
  return most < MOST_CHANGES ? { batch: null, most: Math.ceil(most * (1 + GROWS_BY)) } : null;
}

const mostOf = ({ most = MOST_CHANGES }: DeliverJob) => Math.min(most, MOST_CHANGES);

function isAll({ types, users, rooms }: Told): boolean {
  return users === null && rooms === null && FEED_TYPES.every((type) => types.includes(type));
}

function isTold({ types, users, rooms }: Told, change: FedChange): boolean {
  const [type, id, beginnings] =
    'roomId' in change ? (['rooms', change.roomId, rooms] as const) : (['status', change.userId, users] as const);
  return types.includes(type) && (beginnings === null || beginnings.some((beginning) => id.startsWith(beginning)));
}

/** The receiver is to take a snapshot, and then goes on from now. */
function reset(told: Told, to: FeedCursor): NextBatch {
  const nextCursor = writeFeedCursor(to);
  const id = idOf(told, to.feed, 'reset', to.position);
  return { to, delivery: { id, reset: true, changes: [], nextCursor }, half: null };
}

function deliveryOf(told: Told, { feed, after, through }: WebhookBatch, changes: FedChange[]): WebhookDelivery {
  const nextCursor = writeFeedCursor({ feed, position: through });
  return { id: idOf(told, feed, after, through), changes: changes.map(feedChange), nextCursor };
}

/** Two webhooks may go to one address, and what they tell of the same part of the feed is not the same. */
function idOf({ webhook }: Told, ...parts: (string | number)[]): string {
  return [...parts, ...(webhook === undefined ? [] : [webhook])].join('-');
}
