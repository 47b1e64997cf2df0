import type { Knex } from 'knex';
import type { FeedCursor } from './change-feed.ts';
import { query } from './connect.ts';

/** Up to where a receiver has taken the feed; null: it never took anything. */
export async function takenUpTo(db: Knex, receiver: string): Promise<FeedCursor | null> {
  const [row] = await query<{ feed: string; position: string }>(
    db,
    'SELECT feed, position FROM webhooks WHERE receiver = ?',
    [receiver],
  );
  return row ? { feed: row.feed, position: Number(row.position) } : null;
}

/** Up to where every receiver that ever took something has taken the feed. */
export async function allTakenUpTo(db: Knex): Promise<Map<string, FeedCursor>> {
  const rows = await query<{ receiver: string; feed: string; position: string }>(
    db,
    'SELECT receiver, feed, position FROM webhooks',
    [],
  );
  return new Map(rows.map(({ receiver, feed, position }) => [receiver, { feed, position: Number(position) }]));
}

/**
 * Forgets receivers that are not among `kept` and have taken nothing for so many days; returns how many. What they would
 * go on from is not kept any longer than that.
 */
export async function dropReceivers(db: Knex, kept: readonly string[], days: number): Promise<number> {
  const dropped = await query(
    db,
    `DELETE FROM webhooks WHERE receiver <> ALL (?::text[]) AND taken_at < now() - ?::int * interval '24 hours' RETURNING 1`,
    [[...kept], days],
  );
  return dropped.length;
}

/**
 * Notes that a receiver has taken the feed from one cursor to another; `from` null: it is new. Returns false where it
 * was not at `from`: somebody else went on from there, which is not undone.
 */
export async function noteTakenUpTo(
  db: Knex,
  receiver: string,
  from: FeedCursor | null,
  to: FeedCursor,
): Promise<boolean> {
  const moved =
    from === null
      ? await query(
          db,
          `INSERT INTO webhooks (receiver, feed, position) VALUES (?, ?, ?)
           ON CONFLICT (receiver) DO NOTHING RETURNING 1`,
          [receiver, to.feed, to.position],
        )
      : await query(
          db,
          `UPDATE webhooks SET feed = ?, position = ?, taken_at = now()
            WHERE receiver = ? AND feed = ? AND position = ? RETURNING 1`,
          [to.feed, to.position, receiver, from.feed, from.position],
        );
  return moved.length > 0;
}
