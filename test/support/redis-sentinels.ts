import { Redis } from 'ioredis';
import { startRedis } from '../../scripts/embedded/redis.ts';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { eventually } from './eventually.ts';
import { type Sentinel, startSentinel } from './sentinel.ts';

const MASTER = 'the-primary';
const SENTINELS = 3;

export interface RedisSentinelsOptions {
  replicas?: number;
  /** Of the Redis servers, and of the Sentinels. */
  password?: string;
  sentinelPassword?: string;
  /** Further lines for every Redis server. */
  configuration?: string[];
  /** The environment of the replicas. */
  replicaEnv?: Record<string, string>;
}

/** A primary, its replicas, and three Sentinels that watch them: a second of silence is a failover. */
export class RedisSentinels {
  readonly servers: EmbeddedRedis[] = [];
  readonly sentinels: Sentinel[] = [];
  readonly #options: RedisSentinelsOptions;
  readonly #clients: Redis[] = [];

  private constructor(options: RedisSentinelsOptions) {
    this.#options = options;
  }

  static async start(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
    const all = new RedisSentinels(options);
    try {
      await all.#begin();
      return all;
    } catch (error) {
      await all.stop();
      throw error;
    }
  }

  /** The address of what is the primary at first, for whoever does not ask. */
  get url(): string {
    const { password } = this.#options;
    return `redis://${password ? `:${encodeURIComponent(password)}@` : ''}127.0.0.1:${this.servers[0]?.port}`;
  }

  /** The settings that lead to the primary. What REDIS_URL names is nowhere. */
  get env(): Record<string, string> {
    const { sentinelPassword } = this.#options;
    return {
      REDIS_URL: this.url.replace(/127\.0\.0\.1:\d+$/, 'nowhere.invalid:1'),
      REDIS_SENTINELS: this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
      REDIS_SENTINEL_MASTER: MASTER,
      ...(sentinelPassword ? { REDIS_SENTINEL_PASSWORD: sentinelPassword } : {}),
    };
  }

  /** The server that this Sentinel takes for the primary. */
  async primary(sentinel = 0): Promise<EmbeddedRedis> {
    const [, port] = (await this.#asked(sentinel).call('SENTINEL', 'get-master-addr-by-name', MASTER)) as string[];
    const server = this.servers.find((some) => some.port === Number(port));
    if (!server) throw new Error(`Nobody listens on ${port}`);
    return server;
  }

  /** Has a replica take over from a primary that is well. Resolves once it is asked for. */
  async order(): Promise<void> {
    // Refused while another failover is just over.
    await eventually(
      () => this.#asked(0).call('SENTINEL', 'FAILOVER', MASTER).catch(String),
      (answer) => answer === 'OK',
      60_000,
    );
  }

  /** Resolves once every Sentinel but those that are `away` names another primary than `before`. */
  async takenOver(before: EmbeddedRedis, away: readonly Sentinel[] = []): Promise<void> {
    const there = [...this.sentinels.keys()].filter((n) => !away.some((sentinel) => sentinel === this.sentinels[n]));
    await Promise.all(
      there.map((n) =>
        eventually(
          () => this.primary(n),
          (server) => server !== before,
          60_000,
        ),
      ),
    );
  }

  /** Resolves once all Sentinels know each other and every server, and each replica follows. */
  async settled(): Promise<void> {
    for (const n of this.sentinels.keys()) {
      await eventually(
        () => this.#facts(n),
        (facts) =>
          facts.get('flags') === 'master' &&
          facts.get('num-other-sentinels') === `${SENTINELS - 1}` &&
          Number(facts.get('num-slaves')) >= this.servers.length - 1,
        60_000,
      );
    }
    await eventually(
      () => this.#agreed(),
      (agreed) => agreed,
      60_000,
    );
  }

  /** Whether every Sentinel names the same primary, and all others follow that. */
  async #agreed(): Promise<boolean> {
    const [primary, ...others] = new Set(await Promise.all(this.sentinels.map((_, n) => this.primary(n))));
    if (!primary || others.length > 0) return false;
    const replicas = this.servers.filter((server) => server !== primary);
    const infos = await Promise.all(replicas.map((server) => this.ask(server, (redis) => redis.info('replication'))));
    return infos.every(
      (info) => info.includes('master_link_status:up') && info.includes(`master_port:${primary.port}`),
    );
  }

  /** A question to one server, by a connection of its own. */
  async ask<T>(server: EmbeddedRedis, question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = this.#open(server.port, this.#options.password);
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
  }

  async #begin(): Promise<void> {
    const { replicas = 1, password, sentinelPassword, configuration = [], replicaEnv = {} } = this.#options;
    const common = [
      'repl-diskless-sync-delay 0',
      ...(password ? [`requirepass ${password}`, `masterauth ${password}`] : []),
      ...configuration,
    ];
    const first = await startRedis({ appendonly: true, configuration: common });
    this.servers.push(first);
    const follow = [...common, `replicaof 127.0.0.1 ${first.port}`];
    for (let n = 0; n < replicas; n++) {
      this.servers.push(await startRedis({ appendonly: true, configuration: follow, env: replicaEnv }));
    }
    for (let n = 0; n < SENTINELS; n++) {
      const sentinel = await startSentinel([
        ...(sentinelPassword ? [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`] : []),
        `sentinel monitor ${MASTER} 127.0.0.1 ${first.port} 2`,
        ...(password ? [`sentinel auth-pass ${MASTER} ${password}`] : []),
        `sentinel down-after-milliseconds ${MASTER} 1000`,
        `sentinel failover-timeout ${MASTER} 5000`,
      ]);
      this.sentinels.push(sentinel);
      this.#clients.push(this.#open(sentinel.port, sentinelPassword));
    }
    await this.settled();
  }

  async #facts(sentinel: number): Promise<Map<string, string>> {
    const flat = (await this.#asked(sentinel).call('SENTINEL', 'MASTER', MASTER)) as string[];
    return new Map(flat.flatMap((value, n) => (n % 2 === 0 ? [[value, flat[n + 1] ?? '']] : [])));
  }

  #asked(sentinel: number): Redis {
    const client = this.#clients[sentinel];
    if (!client) throw new Error(`There is no Sentinel ${sentinel}`);
    return client;
  }

  #open(port: number, password: string | undefined): Redis {
    const options = { maxRetriesPerRequest: null, enableReadyCheck: false, protocol: 2 } as const;
    const redis = new Redis(port, '127.0.0.1', { ...options, ...(password ? { password } : {}) });
    return redis.on('error', () => {});
  }
}
