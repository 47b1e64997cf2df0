import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { freePort } from '../../../scripts/embedded/free-port.ts';
import { startPostgres } from '../../../scripts/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../../scripts/embedded/stores.ts';
import { createKeys } from '../../../src/redis/keys.ts';
import { JWT_SECRET } from '../../support/deployment.ts';
import { migrate } from '../../support/migrate.ts';
import { Machine } from './machine.ts';
import { Member } from './member.ts';
import { RedisPair } from './redis-pair.ts';
import { Disturbances } from './spans.ts';

export const TTL_MS = 3000;
export const HANDOVER_MS = 2000;
/** What the contract allows on top of a deadline, and after a worker and the stores are up again. */
export const WITHIN_MS = 2000;
/** How far the clock of a process is moved. */
export const MOVED_MS = 5000;
const MAX_CONNECTIONS = 40;
const TOO_MANY_CONNECTIONS = '53300';

const SETTINGS = {
  PRESENCE_TTL_SECONDS: String(TTL_MS / 1000),
  HEARTBEAT_INTERVAL_SECONDS: '1',
  HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
  HANDOVER_SECONDS: String(HANDOVER_MS / 1000),
};

export interface WorldOptions {
  webs?: number;
  workers?: number;
  /** The code that runs: the project's own, or a variant of it. */
  root?: string;
}

/** Web and worker processes on stores of their own, a link in front of each of their connections, and all that can befall them. */
export class World {
  readonly disturbances: Disturbances;
  readonly machine: Machine;
  readonly redis: RedisPair;
  readonly postgres: EmbeddedPostgres;
  readonly databaseUrl: string;
  readonly keys = createKeys('', false);
  readonly webs: Member[] = [];
  readonly workers: Member[] = [];
  readonly #hoarded: pg.Client[] = [];

  private constructor(
    disturbances: Disturbances,
    redis: RedisPair,
    stores: { postgres: EmbeddedPostgres; databaseUrl: string },
  ) {
    this.disturbances = disturbances;
    this.redis = redis;
    this.postgres = stores.postgres;
    this.databaseUrl = stores.databaseUrl;
    this.machine = new Machine(() => [...this.members.map(({ pid }) => pid), ...redis.pids].filter((pid) => pid > 0));
  }

  static async start({ webs = 3, workers = 2, root }: WorldOptions = {}): Promise<World> {
    const disturbances = new Disturbances();
    const [redis, postgres] = await Promise.all([
      RedisPair.start(disturbances),
      startPostgres({ maxConnections: MAX_CONNECTIONS }),
    ]);
    const databaseUrl = await postgres.createDatabase('rollcall');
    await migrate(databaseUrl);
    const world = new World(disturbances, redis, { postgres, databaseUrl });
    try {
      for (let n = 0; n < webs; n++) world.webs.push(await world.#member('web', n, root));
      for (let n = 0; n < workers; n++) world.workers.push(await world.#member('worker', n, root));
      await Promise.all(world.members.map((member) => member.start()));
    } catch (error) {
      await world.stop();
      throw error;
    }
    world.machine.start();
    return world;
  }

  get members(): Member[] {
    return [...this.webs, ...this.workers];
  }

  /** When nobody was there to make a transition. */
  get withoutWorker() {
    return this.disturbances.together(this.workers.map(({ name }) => name));
  }

  /** A connection of the laboratory's own, past all links; the caller ends it. Waits for its turn where somebody has taken all. */
  async connectPostgres(): Promise<pg.Client> {
    for (const until = Date.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      try {
        return await this.#connectPostgres();
      } catch (error) {
        if ((error as { code?: string }).code !== TOO_MANY_CONNECTIONS || Date.now() > until) throw error;
      }
    }
  }

  async #connectPostgres(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.databaseUrl, connectionTimeoutMillis: 15_000 });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async stopPostgres(): Promise<void> {
    this.disturbances.begin('postgres');
    await this.postgres.shutdown();
  }

  slowPostgres(ms: number): void {
    this.disturbances.begin('postgres');
    for (const { postgresLink } of this.members) postgresLink.delay(ms);
  }

  /** Somebody else has taken every connection there is. */
  async starvePostgres(): Promise<void> {
    this.disturbances.begin('postgres');
    const hoarder = await this.connectPostgres();
    this.#hoarded.push(hoarder);
    await hoarder.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rollcall'`);
    for (let n = 1; n < MAX_CONNECTIONS; n++) {
      const client = await this.#connectPostgres().catch(() => null);
      if (client) this.#hoarded.push(client);
    }
  }

  /** Nobody reaches PostgreSQL, and nobody is at work there any more, while something is done to it. */
  async besidePostgres(work: (client: pg.Client) => Promise<void>): Promise<void> {
    this.disturbances.begin('postgres');
    for (const { postgresLink } of this.members) postgresLink.refuse();
    const client = await this.connectPostgres();
    const others = "FROM pg_stat_activity WHERE application_name = 'rollcall'";
    while ((await client.query(`SELECT pg_terminate_backend(pid) ${others}`)).rows.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await work(client);
    await client.end();
    for (const { postgresLink } of this.members) postgresLink.mend();
    this.disturbances.end('postgres');
  }

  async mendPostgres(): Promise<void> {
    await Promise.all(this.#hoarded.splice(0).map((client) => client.end().catch(() => {})));
    for (const { postgresLink } of this.members) postgresLink.mend();
    await this.postgres.start();
    this.disturbances.end('postgres');
  }

  /** Everything is as it should be: links whole, stores up, every process running. */
  async heal(): Promise<void> {
    await Promise.all([this.redis.mend(), this.mendPostgres()]);
    await Promise.all(this.members.map((member) => member.heal()));
  }

  /** Jobs of a queue by state, as an operator would see them. */
  inspector(): Redis {
    const redis = new Redis(this.redis.port, '127.0.0.1', { maxRetriesPerRequest: 2 });
    redis.on('error', () => {});
    return redis;
  }

  async stop(): Promise<void> {
    this.machine.stop();
    await Promise.all(this.members.map((member) => member.stop()));
    await Promise.all(this.#hoarded.splice(0).map((client) => client.end().catch(() => {})));
    await Promise.all([this.redis.stop(), this.postgres.stop()]);
  }

  async #member(kind: 'web' | 'worker', n: number, root: string | undefined): Promise<Member> {
    const port = kind === 'web' ? await freePort() : 0;
    const links = await Member.links(this.redis, this.postgres.port);
    const databaseUrl = new URL(this.databaseUrl);
    databaseUrl.port = String(links.postgres.port);
    const env = {
      ...SETTINGS,
      JWT_SECRET,
      REDIS_URL: `redis://127.0.0.1:${links.redis.port}`,
      DATABASE_URL: databaseUrl.href,
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'info',
      // One member of each kind is ahead of the others, one behind, when their clocks are moved.
      CLOCK_MOVED_MS: String(n % 2 === 0 ? MOVED_MS : -MOVED_MS),
    };
    const preload = fileURLToPath(new URL('moved-clock.ts', import.meta.url));
    const options = { nodeArgs: ['--import', preload], ...(root === undefined ? {} : { root }) };
    return new Member({ name: `${kind}${n}`, kind, port, env, options, links }, this.disturbances);
  }
}
