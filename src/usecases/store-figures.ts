import { RedisRefused } from '../redis/absence.ts';
import type { Stores } from '../stores.ts';
import type { StoreFigures } from '../telemetry/metrics.ts';

/**
 * What the stores hold and what waits in them, for the metrics. Rejects where Redis is away, one that only answers
 * included.
 */
export async function readStoreFigures({ deadlines, queues, outbox, redisWatch }: Stores): Promise<StoreFigures> {
  if (redisWatch.absence) throw new RedisRefused(redisWatch.absence);
  const [activeUsers, queueFigures, outboxFigures] = await Promise.all([
    deadlines.count(),
    queues.figures(),
    outbox.waiting(),
  ]);
  return { activeUsers, queues: queueFigures, outbox: outboxFigures };
}
