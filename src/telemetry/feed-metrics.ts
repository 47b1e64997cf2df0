import { Gauge, type Registry } from 'prom-client';
import { FIGURES_KEPT_MS, keptFor } from './metrics.ts';

/** How far the change feed is behind the history, and the receivers of webhooks behind the feed. Ages in milliseconds. */
export interface FeedFigures {
  /** Recorded, and still without a position. */
  arriving: { changes: number; oldestMs: number };
  /** Each by the name of its webhook. */
  webhooks: readonly (ReceiverFigures & { webhook: string })[];
}

export interface ReceiverFigures {
  behind: number;
  /** Since the oldest change that it has not taken happened; 0 where it has all. */
  oldestMs: number;
  /** When it last took something, in ms since 1970; null: never. */
  takenAt: number | null;
}

/**
 * What PostgreSQL knows of the change feed and of who is told by it, each by the name of its webhook. Absent while it cannot be
 * asked.
 */
export function addFeedMetrics(registry: Registry, read: () => Promise<FeedFigures>): void {
  const figures = keptFor(FIGURES_KEPT_MS, read);
  // Several processes of a machine say the same.
  const common = { registers: [registry], aggregator: 'max' as const };
  const gauge = (name: string, help: string, take: (figures: FeedFigures) => number) =>
    new Gauge({
      name,
      help,
      ...common,
      async collect() {
        const answer = await figures();
        if (answer) this.set(take(answer));
        else this.remove();
      },
    });
  const gaugeOfEach = (name: string, help: string, take: (figures: ReceiverFigures) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['webhook'],
      ...common,
      async collect() {
        const answer = await figures();
        this.reset();
        for (const { webhook, ...receiver } of answer?.webhooks ?? []) {
          const value = take(receiver);
          if (value !== null) this.set({ webhook }, value);
        }
      },
    });
  gauge('rollcall_feed_arriving_changes', 'Changes in the history that have no place in the feed yet', (from) => {
    return from.arriving.changes;
  });
  gauge('rollcall_feed_arriving_oldest_seconds', 'Age of the oldest of them', (from) => from.arriving.oldestMs / 1000);
  gaugeOfEach(
    'rollcall_webhook_behind_changes',
    'Changes of the feed that the receiver is still to be told or to be spared',
    (from) => {
      return from.behind;
    },
  );
  gaugeOfEach('rollcall_webhook_behind_oldest_seconds', 'Age of the oldest of them', (from) => from.oldestMs / 1000);
  gaugeOfEach('rollcall_webhook_taken_timestamp_seconds', 'When the receiver last took something', ({ takenAt }) => {
    return takenAt && takenAt / 1000;
  });
}
