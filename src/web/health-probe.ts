import { query } from '../postgres/connect.ts';
import { pingRedis } from '../redis/connect.ts';
import type { Services } from '../services.ts';
import type { HealthProbe } from './health.ts';

/** Whoever balances load asks every few seconds and does not wait for long. */
const PATIENCE_MS = 1000;

export function createHealthProbe(services: Services, isDraining: () => boolean, level: () => number): HealthProbe {
  const redisAnswers = check(() => pingRedis(services.redis));
  const postgresAnswers = check(() => query(services.db, 'SELECT 1', []));
  const queueAnswers = check(() => services.queues.queue('timeouts').getDelayedCount());
  return {
    async read() {
      const [redis, postgres, queue] = await Promise.all([redisAnswers(), postgresAnswers(), queueAnswers()]);
      const draining = isDraining();
      return { ready: redis && !draining, redis, postgres, queue, draining, level: level() };
    },
  };
}

/** One question at a time, however many want to know: a store that hangs must not collect a queue of questions. */
function check(ask: () => Promise<unknown>): () => Promise<boolean> {
  let asking: Promise<boolean> | undefined;
  return async () => {
    asking ??= ask()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        asking = undefined;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, false);
    });
    try {
      return await Promise.race([asking, late]);
    } finally {
      clearTimeout(timer);
    }
  };
}
