import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import knex, { type Knex } from 'knex';
import { inject } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import type { RedisClient } from '../../src/redis/connect.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { NODE_COMPILE_CACHE } from './compile-cache.ts';
import { inCluster, openRedis } from './own-client.ts';
import { type RunningProxy, startProxy } from './proxies.ts';
import { keepLog } from './run-logs.ts';
import { openTestStores } from './stores.ts';

export { eventually } from './eventually.ts';

export const JWT_SECRET = 'a-secret-that-only-the-tests-know-about';

export interface ProgramOptions {
  /** The folder whose code is run; the project's own where nothing is said. */
  root?: string;
  nodeArgs?: string[];
}

/** One process of a deployment, with all it said. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #waiting: { test: (line: string) => boolean; resolve: () => void }[] = [];

  constructor(file: string, env: Record<string, string>, { root = process.cwd(), nodeArgs = [] }: ProgramOptions = {}) {
    this.child = spawn(process.execPath, [...nodeArgs, file], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    keepLog(this.child, env);
    // It must not outlive a run that is killed.
    const unguard = guardProcess(this.pid, 'SIGKILL');
    this.exited = once(this.child, 'exit').then(([code, signal]) => {
      unguard();
      return { code, signal };
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#hear(line);
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  /** Resolves once the process has said a line that matches. */
  said(pattern: RegExp): Promise<void> {
    if (this.lines.some((line) => pattern.test(line))) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ test: (line) => pattern.test(line), resolve });
      void this.exited.then(() =>
        reject(new Error(`The process ended before it said ${pattern}:\n${this.lines.join('\n')}`)),
      );
    });
  }

  async end(): Promise<void> {
    this.kill('SIGKILL');
    await this.exited;
  }

  #hear(line: string): void {
    this.lines.push(line);
    this.#waiting = this.#waiting.filter(({ test, resolve }) => {
      if (!test(line)) return true;
      resolve();
      return false;
    });
  }
}

/** Times in which a test can wait for silence to be noticed. */
export const BRISK = {
  PRESENCE_TTL_SECONDS: '3',
  HEARTBEAT_INTERVAL_SECONDS: '1',
  HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
};
/** Nobody times out while a test is at work, however slow the machine. */
export const CALM = { HEARTBEAT_MIN_INTERVAL_SECONDS: '0' };

export interface DeploymentOptions {
  webs?: number;
  workers?: number;
  env?: Record<string, string>;
  /** Stores of one's own, for tests that break them. */
  redisUrl?: string;
  databaseUrl?: string;
}

/** Web and worker processes on stores of the test's own. */
export class Deployment {
  readonly env: Record<string, string>;
  readonly redis: RedisClient;
  readonly db: Knex;
  readonly webs: WebProgram[] = [];
  readonly workers: Program[] = [];
  readonly prefix: string;
  #closeStores: () => Promise<void>;
  #proxy: RunningProxy | null = null;

  private constructor(env: Record<string, string>, redis: RedisClient, closeStores: () => Promise<void>) {
    this.env = env;
    this.prefix = env.REDIS_PREFIX ?? '';
    this.redis = redis;
    this.redis.on('error', () => {});
    this.db = knex({ client: 'pg', connection: env.DATABASE_URL ?? '', pool: { min: 0, max: 2 } });
    this.#closeStores = closeStores;
  }

  static async start(name: string, options: DeploymentOptions = {}): Promise<Deployment> {
    const stores = await openTestStores(name);
    const { proxy } = inject('sharedStores');
    const env = {
      REDIS_URL: options.redisUrl ?? stores.redisUrl,
      ...(options.redisUrl ? {} : stores.redisSentinels),
      REDIS_PREFIX: stores.redisPrefix,
      // Of a cluster every node is named.
      ...((options.redisUrl ?? stores.redisUrl).includes(',') ? { REDIS_CLUSTER: 'true' } : {}),
      DATABASE_URL: options.databaseUrl ?? stores.databaseUrl,
      JWT_SECRET,
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      ...(proxy ? { TRUST_PROXY: '1', SOCKET_TRANSPORTS: 'websocket' } : {}),
      ...options.env,
    };
    const redis = openRedis(env);
    if (!options.redisUrl && stores.redisUserUrl) env.REDIS_URL = stores.redisUserUrl;
    const deployment = new Deployment(env, redis, stores.close);
    await Promise.all([
      ...Array.from({ length: Math.max(options.webs ?? 1, proxy ? 2 : 0) }, () => deployment.addWeb()),
      ...Array.from({ length: options.workers ?? 1 }, () => deployment.addWorker()),
    ]);
    if (proxy) deployment.#proxy = await startProxy(proxy, [deployment.web(0).url, deployment.web(1).url]);
    return deployment;
  }

  /** The first web's address, or that of what stands before it and the second. */
  get url(): string {
    return this.#proxy?.url ?? this.web(0).url;
  }

  web(n: number): WebProgram {
    const web = this.webs[n];
    if (!web) throw new Error(`There is no web ${n}`);
    return web;
  }

  worker(n: number): Program {
    const worker = this.workers[n];
    if (!worker) throw new Error(`There is no worker ${n}`);
    return worker;
  }

  async addWeb(env: Record<string, string> = {}): Promise<WebProgram> {
    const port = env.PORT ?? (await freePort());
    const web = new WebProgram('src/web/main.ts', { ...this.env, ...env, PORT: `${port}` }, `http://127.0.0.1:${port}`);
    this.webs.push(web);
    await web.said(/"msg":"started"/);
    return web;
  }

  async addWorker(env: Record<string, string> = {}): Promise<Program> {
    const worker = new Program('workers/main.ts', { ...this.env, ...env });
    this.workers.push(worker);
    await worker.said(/"msg":"started"/);
    return worker;
  }

  /** A key as `docs/architecture.md` names it for a single Redis; in a cluster its hash tag is added. */
  key(name: string): string {
    return `${this.prefix}${this.#isCluster ? inCluster(name) : name}`;
  }

  queuePrefix(queue: string): string {
    return createKeys(this.prefix, this.#isCluster).queuePrefix(queue);
  }

  get #isCluster(): boolean {
    return this.env.REDIS_CLUSTER === 'true';
  }

  /** What the processes logged as faults of their own. */
  get faults(): string[] {
    return [...this.webs, ...this.workers].flatMap(({ lines }) =>
      lines.filter((line) => /"level":"?(50|60|error|fatal)\b/.test(line)),
    );
  }

  /** Stops everything. */
  async stop(): Promise<void> {
    await this.#proxy?.stop();
    await Promise.all([...this.webs, ...this.workers].map((program) => program.end()));
    this.redis.disconnect();
    await this.db.destroy();
    await this.#closeStores();
  }
}

export class WebProgram extends Program {
  readonly url: string;

  constructor(file: string, env: Record<string, string>, url: string) {
    super(file, env);
    this.url = url;
  }
}
