import { RedisRefused } from '../redis/absence.ts';
import type { Stores } from '../stores.ts';
import type { StoreFigures } from '../telemetry/metrics.ts';

/** By no name, for metrics are kept for long and by others. */
const MOST_LOOKING = 5;

/**
 * What the stores hold and what waits in them, for the metrics. Rejects where Redis is away, one that only answers
 * included.
 */
export async function readStoreFigures({
  deadlines,
  queues,
  outbox,
  looks,
  redisWatch,
}: Stores): Promise<StoreFigures> {
  if (redisWatch.absence) throw new RedisRefused(redisWatch.absence);
  const [activeUsers, queueFigures, outboxFigures, looking] = await Promise.all([
    deadlines.count(),
    queues.figures(),
    outbox.waiting(),
    looks.most(MOST_LOOKING),
  ]);
  return { activeUsers, queues: queueFigures, outbox: outboxFigures, looks: looking.map(({ looked }) => looked) };
}
