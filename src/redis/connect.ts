import { Cluster, Redis, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;

export interface RedisSettings {
  urls: string[];
  cluster: boolean;
  tlsRejectUnauthorized: boolean;
}

/**
 * prompt:   fails fast while Redis is away, so that a caller gets an error and nothing is done twice behind its back;
 * blocking: for BullMQ workers, whose reads wait at the server: retries for as long as it takes;
 * reading:  the same for reads that wait for two seconds at most.
 */
export type Temper = 'prompt' | 'blocking' | 'reading';

/** Longer than any script takes, shorter than a caller's patience. */
const COMMAND_TIMEOUT_MS = 3000;

/**
 * A connection that was asked something and says nothing for so long (ms) is given up for a new one: where a network
 * forgets it without a word, TCP itself would go on believing in it for a quarter of an hour. BullMQ waits for up to 10 s.
 */
const SILENCE_LIMIT_MS: Record<Temper, number> = { prompt: 5000, blocking: 15_000, reading: 5000 };

function optionsFor(settings: RedisSettings, temper: Temper) {
  return {
    // Quick to return: the webs have to tell of the beats they took before anybody is expired.
    retryStrategy: (times: number) => Math.min(20 * times, 200),
    connectTimeout: 2000,
    // A Redis that loads its data is asked again soon: its own estimate, which the library would wait for, may be seconds too long.
    maxLoadingRetryTime: 200,
    socketTimeout: SILENCE_LIMIT_MS[temper],
    maxRetriesPerRequest: temper === 'prompt' ? 0 : null,
    enableOfflineQueue: temper !== 'prompt',
    // Without it a command that was waiting when the connection broke would never be answered on a patient connection.
    autoResendUnfulfilledCommands: temper !== 'prompt',
    ...(temper === 'prompt' ? { commandTimeout: COMMAND_TIMEOUT_MS } : {}),
    ...(settings.urls[0]?.startsWith('rediss:') ? { tls: { rejectUnauthorized: settings.tlsRejectUnauthorized } } : {}),
    // A primary that became a replica behind the same address refuses writes: find the new one.
    reconnectOnError: (error: Error): false | 2 => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions;
}

/** Opens a connection; errors are the caller's to log through `on('error')`. */
export function connectRedis(settings: RedisSettings, temper: Temper): RedisClient {
  const options = optionsFor(settings, temper);
  if (!settings.cluster) {
    const [url] = settings.urls;
    if (!url) throw new Error('REDIS_URL names no server');
    return new Redis(url, options);
  }
  return new Cluster(settings.urls, {
    redisOptions: options,
    enableOfflineQueue: temper !== 'prompt',
    clusterRetryStrategy: (times) => Math.min(20 * times, 200),
    ...(settings.urls[0]?.startsWith('rediss:') ? { dnsLookup: (address, done) => done(null, address) } : {}),
  });
}

/** Whether an error says that Redis could not be reached or did not answer in time. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /Command timed out|Stream isn't writeable|Connection is closed|max retries per request|Socket timeout|ECONN|ETIMEDOUT|EPIPE|LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|Cluster isn't ready|socket closed|Failed to refresh slots/i.test(
    `${error.name} ${error.message}`,
  );
}
