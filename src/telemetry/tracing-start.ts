import type { Config } from '../config/config.ts';
import { type Service, serviceOf } from '../lifecycle.ts';
import type { Logger } from '../log.ts';
import { NO_TRACING, type Tracing } from './tracing.ts';

/** A little more than the tracing itself allows for. */
const STOP_LIMIT_MS = 2500;

/** Traces go to a collector where one is named. Nothing of OpenTelemetry is loaded where none is. */
export async function openTracing(
  { tracing }: Pick<Config, 'tracing'>,
  processName: 'web' | 'worker',
  log: Logger,
): Promise<Tracing> {
  if (tracing === null) return NO_TRACING;
  const { OpenTelemetry } = await import('./tracing-otel.ts');
  return await OpenTelemetry.open(tracing, processName, log);
}

/** First among the services of a process, so that it is stopped last: what the others did while stopping is traced too. */
export function tracingService(tracing: Tracing): Service {
  return serviceOf({ name: 'tracing', stop: () => tracing.stop(), stopLimitMs: STOP_LIMIT_MS });
}
