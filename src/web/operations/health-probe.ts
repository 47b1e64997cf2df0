import type { Stores } from '../../stores.ts';
import type { HealthProbe } from './health.ts';

/**
 * Makes what `GET /readyz` asks. A process that drains, or whose Redis does not serve, is not ready; PostgreSQL may be
 * away.
 */
export function createHealthProbe(
  { readiness }: Pick<Stores, 'readiness'>,
  isDraining: () => boolean,
  level: () => number,
): HealthProbe {
  return {
    async read() {
      const reasons = await readiness.reasons();
      const { redis, postgres, queue } = reasons;
      const draining = isDraining();
      return {
        ready: redis === undefined && !draining,
        redis: redis === undefined,
        postgres: postgres === undefined,
        queue: queue === undefined,
        draining,
        level: level(),
        reasons,
      };
    },
  };
}
