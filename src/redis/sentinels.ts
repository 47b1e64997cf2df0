import { type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { SentinelSettings } from '../redis-settings.ts';

/** A Sentinel that says nothing for so long (ms) is passed over. */
const ANSWER_LIMIT_MS = 1000;
/** How soon (ms) the next round begins where none of them answered. */
const ROUND_MS = 200;
/** How soon (ms) one that went away is listened to again; the library's own minute would miss a failover. */
const LISTEN_AGAIN_MS = 1000;
/** A primary that hangs does not close what is to be closed: it is cut off after so long (ms). */
const CLOSE_LIMIT_MS = 200;

/**
 * Ends what the connection before had listened to. Left to itself that would hear of a failover while the next connection is
 * being made and close it, and an attempt that is closed before it has an address is the library's last.
 */
class FreshConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override connect(...given: Parameters<SentinelConnector['connect']>): ReturnType<SentinelConnector['connect']> {
    this.disconnect();
    return super.connect(...given);
  }
}

/**
 * How a connection finds the primary, also after another one took over: as soon as a Sentinel says so it is closed and made
 * anew, for until it is told to follow the old one takes writes that are lost.
 */
export function sentinelOptions({ nodes, master, password }: SentinelSettings, { tls }: RedisOptions) {
  return {
    Connector: FreshConnector,
    sentinels: nodes,
    name: master,
    ...(password === null ? {} : { sentinelPassword: password }),
    ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
    failoverDetector: true,
    sentinelCommandTimeout: ANSWER_LIMIT_MS,
    sentinelRetryStrategy: (times) => Math.min(20 * times, ROUND_MS),
    sentinelReconnectStrategy: () => LISTEN_AGAIN_MS,
    disconnectTimeout: CLOSE_LIMIT_MS,
  } satisfies RedisOptions;
}
