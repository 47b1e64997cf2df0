import type { Config } from '../../config/config.ts';

/** Proxies cut a silent connection after 55 s and more; browsers do not throttle answers to a ping. */
const LONGEST_PING_MS = 25_000;

type ConfiguredTimes = Pick<Config, 'ttlMs' | 'heartbeatIntervalMs' | 'heartbeatMinIntervalMs'>;

/** For how long a sign of life of a session holds, and how often one is awaited and taken; all in ms. */
export interface SessionTimes {
  readonly ttlMs: number;
  readonly intervalMs: number;
  readonly minIntervalMs: number;
}

/** After how long (ms) the server pings a connection again: all of them alike, whatever the TTL of their sessions. */
export function pingEveryMs({ heartbeatIntervalMs }: Pick<Config, 'heartbeatIntervalMs'>): number {
  return Math.min(heartbeatIntervalMs, LONGEST_PING_MS);
}

/** The times of sessions that ask for no TTL of their own. */
export function configuredTimes(config: ConfiguredTimes): SessionTimes {
  const { ttlMs, heartbeatIntervalMs: intervalMs, heartbeatMinIntervalMs: minIntervalMs } = config;
  return { ttlMs, intervalMs, minIntervalMs };
}

/**
 * The times of a session that asks for a TTL of its own. Where pongs are its heartbeats (`byPong`) it lives for two pings at
 * least: it has no say in how often these come.
 */
export function ownTimes(config: ConfiguredTimes, ttlSeconds: number, byPong: boolean): SessionTimes {
  const askedMs = Math.round(ttlSeconds * 1000);
  const ttlMs = byPong ? Math.max(askedMs, 2 * pingEveryMs(config)) : askedMs;
  const intervalMs = Math.min(config.heartbeatIntervalMs, ttlMs / 2);
  return { ttlMs, intervalMs, minIntervalMs: Math.min(config.heartbeatMinIntervalMs, intervalMs / 2) };
}
