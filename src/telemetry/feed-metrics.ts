import { Gauge, type Registry } from 'prom-client';
import { FIGURES_KEPT_MS, keptFor } from './metrics.ts';

/** How far the change feed is behind the history, and its receiver behind the feed. Ages in milliseconds. */
export interface FeedFigures {
  /** Recorded, and still without a position. */
  arriving: { changes: number; oldestMs: number };
  /** null: there is no receiver. */
  receiver: ReceiverFigures | null;
}

export interface ReceiverFigures {
  behind: number;
  /** Since the oldest change that it has not taken happened; 0 where it has all. */
  oldestMs: number;
  /** When it last took something, in ms since 1970; null: never. */
  takenAt: number | null;
}

/**
 * What PostgreSQL knows of the change feed and of who is told by it. Absent while it cannot be asked; and without a
 * receiver, all that is said of one.
 */
export function addFeedMetrics(registry: Registry, read: () => Promise<FeedFigures>): void {
  const figures = keptFor(FIGURES_KEPT_MS, read);
  const gauge = (name: string, help: string, take: (figures: FeedFigures) => number | null | undefined) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      // Several processes of a machine say the same.
      aggregator: 'max',
      async collect() {
        const answer = await figures();
        const value = answer && take(answer);
        if (value === undefined || value === null) this.remove();
        else this.set(value);
      },
    });
  gauge('rollcall_feed_arriving_changes', 'Changes in the history that have no place in the feed yet', (from) => {
    return from.arriving.changes;
  });
  gauge('rollcall_feed_arriving_oldest_seconds', 'Age of the oldest of them', (from) => from.arriving.oldestMs / 1000);
  gauge('rollcall_webhook_behind_changes', 'Changes of the feed that the receiver has not taken', (from) => {
    return from.receiver?.behind;
  });
  gauge('rollcall_webhook_behind_oldest_seconds', 'Age of the oldest of them', (from) => {
    return from.receiver && from.receiver.oldestMs / 1000;
  });
  gauge('rollcall_webhook_taken_timestamp_seconds', 'When the receiver last took something', (from) => {
    const takenAt = from.receiver?.takenAt;
    return takenAt && takenAt / 1000;
  });
}
