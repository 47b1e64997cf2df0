import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { connectRedis, type RedisClient } from '../../src/redis/connect.ts';
import { rest, TestClient, tokenFor } from './client.ts';
import { Deployment } from './deployment.ts';
import { RedisSentinels, type RedisSentinelsOptions } from './redis-sentinels.ts';

/** Long enough for a machine that is busy, short enough to be waited for. */
export const TTL_MS = 4000;
const BEAT_MS = 700;
const WRITE_EVERY_MS = 5;

/** Two webs and two workers on a Redis of their own that Sentinels watch. */
export class SentinelWorld {
  readonly sentinels: RedisSentinels;
  readonly rollcall: Deployment;
  readonly #ending: (() => unknown)[] = [];

  private constructor(sentinels: RedisSentinels, rollcall: Deployment) {
    this.sentinels = sentinels;
    this.rollcall = rollcall;
  }

  static async open(name: string, options: RedisSentinelsOptions = {}): Promise<SentinelWorld> {
    const sentinels = await RedisSentinels.start(options);
    try {
      const rollcall = await Deployment.start(name, {
        webs: 2,
        workers: 2,
        env: {
          ...sentinels.env,
          AUDIENCE: 'watchers',
          PRESENCE_TTL_SECONDS: `${TTL_MS / 1000}`,
          HEARTBEAT_INTERVAL_SECONDS: '1',
          HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
        },
      });
      return new SentinelWorld(sentinels, rollcall);
    } catch (error) {
      await sentinels.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const end of this.#ending.splice(0).reverse()) await end();
    await this.rollcall.stop();
    await this.sentinels.stop();
  }

  async watcher(userIds: string[]): Promise<TestClient> {
    const watcher = await TestClient.connect(this.rollcall.web(1).url, 'the-watcher', { watch: userIds });
    this.#beats(watcher);
    return watcher;
  }

  /** Somebody who beats until `quiet` is called. */
  async person(userId: string, web = 0): Promise<{ client: TestClient; quiet(): void }> {
    const client = await TestClient.connect(this.rollcall.web(web).url, userId, { watch: [] });
    return { client, quiet: this.#beats(client) };
  }

  async status(userId: string, web = 0) {
    return rest(this.rollcall.web(web).url, 'GET', `/users/${userId}/status`, { token: await tokenFor('somebody') });
  }

  /** Asks both webs for somebody all the while; `stop` returns what they answered that was neither a 503 nor `truth`. */
  async questions(userId: string, truth: string): Promise<{ stop(): Promise<unknown[]> }> {
    const wrong: unknown[] = [];
    let asking = true;
    const ask = async (web: number) => {
      while (asking) {
        const { status, body } = await this.status(userId, web);
        const absent = status === 503 && body.code === 'UNAVAILABLE';
        if (!absent && !(status === 200 && body.status === truth)) wrong.push({ status, body });
        await delay(50);
      }
    };
    const both = Promise.all([ask(0), ask(1)]);
    return {
      stop: async () => {
        asking = false;
        await both;
        return wrong;
      },
    };
  }

  /** What the primary acknowledges from now on, by a connection like those of the service. */
  ledger(): Ledger {
    const { REDIS_URL = '', REDIS_SENTINEL_MASTER: master = '' } = this.sentinels.env;
    const nodes = this.sentinels.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
    const sentinels = { nodes, master, password: this.sentinels.env.REDIS_SENTINEL_PASSWORD ?? null };
    const settings = { urls: [REDIS_URL], cluster: false, sentinels, tlsRejectUnauthorized: true };
    const ledger = new Ledger(connectRedis(settings, 'prompt'));
    this.#ending.push(() => ledger.stop());
    return ledger;
  }

  /** The failover is over for everybody: both webs and their queues are ready. */
  async ready(): Promise<void> {
    for (const { url } of this.rollcall.webs) {
      await expect
        .poll(async () => (await rest(url, 'GET', '/readyz')).body, { timeout: 60_000, interval: 50 })
        .toMatchObject({ ready: true, queue: true });
    }
  }

  #beats(client: TestClient): () => void {
    const timer = setInterval(() => void client.beat().catch(() => {}), BEAT_MS);
    const quiet = () => clearInterval(timer);
    this.#ending.push(quiet, () => client.leave());
    return quiet;
  }
}

export interface Losses {
  /** Writes that were acknowledged and are gone. */
  lost: number;
  /** From the first of them to the last, in ms. */
  lostForMs: number;
  /** The longest time in which nothing was acknowledged, in ms. */
  awayMs: number;
}

/** One small write after the other, with when each was acknowledged. */
export class Ledger {
  readonly #redis: RedisClient;
  readonly #prefix = `ledger:${process.hrtime.bigint()}:`;
  readonly #acknowledged: { key: string; at: number }[] = [];
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  constructor(redis: RedisClient) {
    this.#redis = redis.on('error', () => {});
    this.#timer = setInterval(() => {
      const key = `${this.#prefix}${this.#next++}`;
      redis.set(key, '1').then(
        () => this.#acknowledged.push({ key, at: performance.now() }),
        () => {},
      );
    }, WRITE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  /** Stops, and looks for what was acknowledged. */
  async close(): Promise<Losses> {
    clearInterval(this.#timer);
    const all = this.#acknowledged.splice(0).sort((a, b) => a.at - b.at);
    const found = all.length > 0 ? await this.#redis.mget(all.map(({ key }) => key)) : [];
    const lost = all.filter((_, n) => found[n] === null);
    this.stop();
    const gaps = all.slice(1).map(({ at }, n) => at - (all[n]?.at ?? at));
    return {
      lost: lost.length,
      lostForMs: Math.round((lost.at(-1)?.at ?? 0) - (lost[0]?.at ?? 0)),
      awayMs: Math.round(Math.max(0, ...gaps)),
    };
  }
}
