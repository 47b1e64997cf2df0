import { receiverOf, type WebhookSettings } from '../config/webhook-settings.ts';
import { feedFigures } from '../postgres/change-feed-figures.ts';
import type { Stores } from '../stores.ts';
import type { FeedFigures } from '../telemetry/feed-metrics.ts';

/** Asks how far the change feed is behind the history, and each of these webhooks behind the feed. */
export function feedFiguresOf(
  { db }: Pick<Stores, 'db'>,
  webhooks: readonly WebhookSettings[],
): () => Promise<FeedFigures> {
  const receivers = new Map(webhooks.map((webhook) => [receiverOf(webhook), webhook.name]));
  return async () => {
    const { arriving, receivers: figures } = await feedFigures(db, [...receivers.keys()]);
    return { arriving, webhooks: figures.map((one) => ({ ...one, webhook: receivers.get(one.receiver) ?? '' })) };
  };
}
