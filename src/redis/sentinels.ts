import { type Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { SentinelSettings } from '../config/redis-settings.ts';

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
 * being made and close it, and an attempt that is closed before it has an address is the library's last: of a hundred
 * connections half were gone for good when a primary was killed.
 */
class FreshConnector extends SentinelConnector {
  #listens = false;

  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
    // Of a Sentinel that it only listens to nobody hears the errors, and the library says each on the console.
    const own = this as unknown as { connectToSentinel: (...given: unknown[]) => Redis };
    const { connectToSentinel } = own;
    own.connectToSentinel = (...given) => connectToSentinel.apply(this, given).on('error', () => {});
  }

  override async connect(emit: Parameters<SentinelConnector['connect']>[0]) {
    if (this.#listens) this.disconnect();
    this.#listens = false;
    // Begins with the one after whom it asked last, and asks all: left to itself the library says that none can be reached where
    // it was the last of them who named a primary that is away.
    this.sentinelIterator.next();
    this.sentinelIterator.reset(true);
    const stream = await super.connect(emit);
    return stream.once('connect', () => {
      this.#listens = true;
    });
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
