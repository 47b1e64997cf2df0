import type { Knex } from 'knex';
import type { FeedFigures, ReceiverFigures } from '../telemetry/feed-metrics.ts';
import { query } from './connect.ts';
import { msOf } from './time.ts';

/**
 * How much waits to get into the change feed and for how long, and how far behind `receiver` is, who takes it by
 * webhooks; null: nobody does.
 */
export async function feedFigures(db: Knex, receiver: string | null): Promise<FeedFigures> {
  const [arriving] = await query<{ changes: string; age: string | null }>(
    db,
    `SELECT count(*) AS changes, ${ageOf('(SELECT at FROM changes_arriving ORDER BY id LIMIT 1)')} AS age
       FROM changes_arriving`,
    [],
  );
  return {
    arriving: { changes: Number(arriving?.changes ?? 0), oldestMs: Number(arriving?.age ?? 0) },
    receiver: receiver === null ? null : await receiverFigures(db, receiver),
  };
}

async function receiverFigures(db: Knex, receiver: string): Promise<ReceiverFigures> {
  const [row] = await query<{ behind: string; age: string | null; taken_at: Date | null }>(
    db,
    `SELECT last_position - COALESCE(webhooks.position, dropped_through) AS behind, taken_at,
            ${ageOf(
              `(SELECT at FROM changes WHERE changes.position > COALESCE(webhooks.position, dropped_through)
                 ORDER BY changes.position LIMIT 1)`,
            )} AS age
       FROM change_feed LEFT JOIN webhooks ON receiver = ? AND feed = id`,
    [receiver],
  );
  return {
    behind: Number(row?.behind ?? 0),
    oldestMs: Number(row?.age ?? 0),
    takenAt: msOf(row?.taken_at ?? null),
  };
}

function ageOf(moment: string): string {
  return `GREATEST(0, extract(epoch FROM now() - ${moment}) * 1000)`;
}
