import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { SentinelSettings } from '../config/redis-settings.ts';
import { type Absence, absenceOf } from './absence.ts';
import { sentinelOptions } from './sentinels.ts';

export type RedisClient = Redis | Cluster;

export interface RedisSettings {
  urls: string[];
  cluster: boolean;
  /** Who is asked where the primary is; its name, password, database and scheme are those of the first address. */
  sentinels?: SentinelSettings | null;
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
    reconnectOnError: findPrimary(),
  } satisfies RedisOptions;
}

/** A primary that became a replica behind the same address refuses writes: the name may lead to the new one by now. */
const FIND_PRIMARY_EVERY_MS = 1000;

/** Reconnects and asks again, now and then: where the name leads to the same server for good, it would do nothing else. */
function findPrimary(): (error: Error) => false | 2 {
  let foundAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (absenceOf(error)?.kind !== 'READONLY' || performance.now() - foundAt < FIND_PRIMARY_EVERY_MS) return false;
    foundAt = performance.now();
    return 2;
  };
}

/**
 * How often (ms) a client of a cluster asks who serves which slots. A master that died or lost a slot says so itself, by a
 * closed connection or by MOVED; of one that hangs, whose replica has taken over, nothing else would tell.
 */
const TOPOLOGY_EVERY_MS = 2000;
const TOPOLOGY_LIMIT_MS = 1000;
/** While a slot is on its way to another node its scripts are refused (TRYAGAIN); each try is up to three redirections. */
const TRY_AGAIN_MS = 50;
const RECONNECT_MS = 200;
const MAX_REDIRECTIONS = 48;

function clusterOptionsFor(settings: RedisSettings, temper: Temper) {
  const { username, password, protocol } = new URL(settings.urls[0] ?? '');
  const patient = temper !== 'prompt';
  return {
    // The nodes that the first ones name are reached as these are.
    redisOptions: {
      ...optionsFor(settings, temper),
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
    },
    clusterRetryStrategy: (times) => Math.min(20 * times, RECONNECT_MS),
    slotsRefreshInterval: TOPOLOGY_EVERY_MS,
    slotsRefreshTimeout: TOPOLOGY_LIMIT_MS,
    maxRedirections: MAX_REDIRECTIONS,
    retryDelayOnTryAgain: TRY_AGAIN_MS,
    // A prompt command that may have been done must not be done again: 0 hands the error to the caller.
    retryDelayOnFailover: patient ? 100 : 0,
    retryDelayOnClusterDown: patient ? 100 : 0,
    // A certificate is for the name of a node, not for its address.
    ...(protocol === 'rediss:' ? { dnsLookup: (address, done) => done(null, address) } : {}),
  } satisfies ClusterOptions;
}

type ClusterSettings = ReturnType<typeof clusterOptionsFor>;

/**
 * The commands of a prompt client must neither wait for a cluster that is out of reach, nor be refused because the
 * connection to one of its nodes is only just being made, which is what the library's own setting would do.
 */
class PromptCluster extends Cluster {
  override sendCommand(...[command, ...rest]: Parameters<Cluster['sendCommand']>): unknown {
    if (this.status === 'ready' || command.name === 'cluster') return super.sendCommand(command, ...rest);
    command.reject(new Error("Cluster isn't ready"));
    return command.promise;
  }
}

/** Of whom nobody wants to hear again. Outside of the class: the library connects before anything private of it exists. */
const givenUp = new WeakSet<Cluster>();

/**
 * Goes on trying until it is disconnected for good, and says when it is there. BullMQ's workers reconnect by themselves, with
 * a `disconnect` that tells the library to stop trying, so that an attempt during an outage would have been the last; and
 * of an attempt that finds a cluster which is not up yet the library makes another without ever answering the first. Either
 * would leave a queue whose jobs nobody takes.
 */
class PatientCluster extends Cluster {
  override async connect(): Promise<void> {
    givenUp.delete(this);
    const attempt = () =>
      new Promise<void>((resolve, reject) => {
        const settle = (error: Error | null) => {
          this.off('ready', ready).off('end', ended);
          if (error) reject(error);
          else resolve();
        };
        const ready = () => settle(null);
        const ended = () => settle(new Error('Connection is closed.'));
        this.once('ready', ready).once('end', ended);
        super.connect().then(ready, settle);
      });
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (this.status !== 'end' || givenUp.has(this)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
      }
    }
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) {
      givenUp.add(this);
      // Between two attempts there is no connection whose end the library would hear of, and what waits would wait for ever.
      if (this.status === 'reconnecting') this.status = 'wait';
    }
    super.disconnect(reconnect);
  }
}

/** Its duplicates are as patient: BullMQ waits for jobs on one. */
function patientCluster(urls: string[], options: ClusterSettings): Cluster {
  const duplicate = (_urls: unknown, other: Partial<ClusterSettings> = {}) =>
    patientCluster(urls, { ...options, ...other });
  return Object.assign(new PatientCluster(urls, options), { duplicate });
}

/** Called for every command that Redis answers with a refusal, of the client itself and of BullMQ too. */
export type RefusalListener = (absence: Absence) => void;

/** What the client asks for itself, and can do without where it is not allowed or not known. */
const SPARABLE_COMMANDS = new Set(['hello', 'client', 'config', 'info', 'readonly']);
const SPARABLE_REFUSALS = new Set(['NOPERM', 'UNKNOWN_COMMAND']);

function isSparable(command: string, { kind }: Absence): boolean {
  return SPARABLE_COMMANDS.has(command) && SPARABLE_REFUSALS.has(kind);
}

/** What is corked until the end of a turn. */
const gathering = new WeakSet<Redis['stream']>();

/**
 * Hands all commands of a turn of the event loop to the socket in one write, and tells of those that are refused. Each write is a call of the system, which costs
 * more than the command itself: a process that answers many at once spends a third less so.
 */
function gatherWrites(redis: Redis, onRefusal: RefusalListener): Redis {
  const { duplicate } = redis;
  // BullMQ waits for jobs on one.
  redis.duplicate = (other) => gatherWrites(duplicate.call(redis, other), onRefusal);
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (...command) => {
    const [sent] = command;
    const { reject } = sent;
    sent.reject = (error) => {
      const absence = absenceOf(error);
      // Where INFO is not allowed the library goes on without it, but not without a word on the console for each connection.
      if (sent.name === 'info' && absence?.kind === 'NOPERM') return sent.resolve('');
      if (absence?.refuses && !isSparable(sent.name, absence)) onRefusal(absence);
      reject(error);
    };
    const { stream } = redis;
    if (stream && !gathering.has(stream)) {
      gathering.add(stream);
      stream.cork();
      setImmediate(() => {
        gathering.delete(stream);
        stream.uncork();
      });
    }
    return send(...command);
  };
  return redis;
}

/** A little longer than the library gives a server that hangs. */
const DISCONNECT_LIMIT_MS = 2500;

/** Ends the connections of a client for good; resolves once they are closed. */
export async function disconnected(client: RedisClient): Promise<void> {
  if (client.status === 'end') return;
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('end', () => resolve());
  const limit = setTimeout(resolve, DISCONNECT_LIMIT_MS);
  // Between two attempts there is no connection whose end the library would hear of.
  if (client.status === 'reconnecting') client.status = 'wait';
  client.disconnect();
  await promise;
  clearTimeout(limit);
}

/**
 * Opens a connection; errors are the caller's to log through `on('error')`, of a cluster's nodes `on('node error')`, and what
 * Redis refuses through `onRefusal`.
 */
export function connectRedis(
  settings: RedisSettings,
  temper: Temper,
  onRefusal: RefusalListener = () => {},
): RedisClient {
  if (settings.cluster) {
    const options = clusterOptionsFor(settings, temper);
    const cluster =
      temper === 'prompt' ? new PromptCluster(settings.urls, options) : patientCluster(settings.urls, options);
    return cluster.on('+node', (node) => void gatherWrites(node, onRefusal));
  }
  const [url] = settings.urls;
  if (!url) throw new Error('REDIS_URL names no server');
  const options = optionsFor(settings, temper);
  const { sentinels } = settings;
  const all = sentinels ? { ...options, ...sentinelOptions(sentinels, options) } : options;
  return gatherWrites(new Redis(url, all), onRefusal);
}
