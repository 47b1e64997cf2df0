import type { Knex } from 'knex';
import type { FeedFigures, ReceiverFigures } from '../telemetry/feed-metrics.ts';
import { query } from './connect.ts';
import { msOf } from './time.ts';

/** How much waits to get into the change feed and for how long, and how far behind each of these receivers is. */
export async function feedFigures(
  db: Knex,
  receivers: readonly string[],
): Promise<Pick<FeedFigures, 'arriving'> & { receivers: (ReceiverFigures & { receiver: string })[] }> {
  const [arriving] = await query<{ changes: string; age: string | null }>(
    db,
    `SELECT count(*) AS changes, ${ageOf('(SELECT at FROM changes_arriving ORDER BY id LIMIT 1)')} AS age
       FROM changes_arriving`,
    [],
  );
  return {
    arriving: { changes: Number(arriving?.changes ?? 0), oldestMs: Number(arriving?.age ?? 0) },
    receivers: receivers.length === 0 ? [] : await receiverFigures(db, receivers),
  };
}

async function receiverFigures(db: Knex, receivers: readonly string[]) {
  const rows = await query<{ receiver: string; behind: string; age: string | null; taken_at: Date | null }>(
    db,
    `SELECT named.receiver, last_position - COALESCE(webhooks.position, dropped_through) AS behind, taken_at,
            ${ageOf(
              `(SELECT at FROM changes WHERE changes.position > COALESCE(webhooks.position, dropped_through)
                 ORDER BY changes.position LIMIT 1)`,
            )} AS age
       FROM change_feed CROSS JOIN unnest(?::text[]) AS named (receiver)
            LEFT JOIN webhooks ON webhooks.receiver = named.receiver AND feed = id`,
    [[...receivers]],
  );
  return rows.map(({ receiver, behind, age, taken_at }) => ({
    receiver,
    behind: Number(behind),
    oldestMs: Number(age ?? 0),
    takenAt: msOf(taken_at),
  }));
}

function ageOf(moment: string): string {
  return `GREATEST(0, extract(epoch FROM now() - ${moment}) * 1000)`;
}
