import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { freePort } from '../scripts/embedded/free-port.ts';
import { startPostgres } from '../scripts/embedded/postgres.ts';
import { startRedis } from '../scripts/embedded/redis.ts';
import { migrate } from '../src/postgres/migrate.ts';
import { childrenOf } from './measure/processes.ts';
import { type Program, startProgram } from './systems/program.ts';

const run = promisify(execFile);

/** Each Rollcall knows its own tables. */
async function migrateBy(folder: string | undefined, databaseUrl: string): Promise<unknown> {
  if (folder === undefined) return migrate(databaseUrl);
  const env = { PATH: process.env.PATH ?? '', DATABASE_URL: databaseUrl };
  return run(process.execPath, ['scripts/migrate.ts'], { cwd: folder, env });
}

/** Web and worker processes on private stores. */
export interface Stack {
  urls: string[];
  secret: string;
  redisUrl: string;
  databaseUrl: string;
  /** Settings of its programs, for whoever wants to be another of them. */
  settings: Record<string, string>;
  webs: Program[];
  /** Of the Rollcall whose programs these are; undefined: this one. */
  folder: string | undefined;
  /** Process ids, the stores' included. */
  readonly pids: { web: number[]; worker: number[]; redis: number[]; postgres: number[] };
  stop(): Promise<void>;
}

export interface StackOptions {
  webs?: number;
  env?: Record<string, string>;
  /** Of Node, for web and worker. */
  nodeArgs?: string[];
  /** Of the Rollcall whose programs are started; this one where nothing is said. */
  folder?: string;
  /** PostgreSQL waits for its disk, and its WAL is what it would be elsewhere. */
  durable?: boolean;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const { webs = 1, env = {}, nodeArgs = [], durable = false, folder } = options;
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const each of stops.splice(0).reverse()) await each().catch(() => {});
  };
  try {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    const postgres = await startPostgres({ durable });
    stops.push(() => postgres.stop());
    const databaseUrl = await postgres.createDatabase('bench');
    await migrateBy(folder, databaseUrl);
    const secret = randomBytes(32).toString('hex');
    const settings = {
      PATH: process.env.PATH ?? '',
      REDIS_URL: redis.url,
      DATABASE_URL: databaseUrl,
      JWT_SECRET: secret,
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      MAX_SESSIONS_PER_USER: '1000',
      // Everybody comes from one address here.
      MAX_CONNECTIONS: '1000000',
      MAX_CONNECTS_PER_IP_PER_SECOND: '1000000',
      MAX_REQUESTS_PER_IP_PER_SECOND: '1000000',
      ...env,
    };
    const urls: string[] = [];
    const programs: Program[] = [];
    const start = async (file: string, more: Record<string, string>) => {
      const program = await startProgram(file, { ...settings, ...more }, { nodeArgs, folder });
      stops.push(() => program.stop());
      return program;
    };
    for (let n = 0; n < webs; n++) {
      const port = await freePort();
      urls.push(`http://127.0.0.1:${port}`);
      programs.push(await start('src/web/main.ts', { PORT: String(port) }));
    }
    const worker = await start('workers/main.ts', {});
    return {
      urls,
      secret,
      redisUrl: redis.url,
      databaseUrl,
      settings,
      webs: programs,
      folder,
      get pids() {
        return {
          web: programs.map((program) => program.pid),
          worker: [worker.pid],
          redis: [redis.pid],
          postgres: [postgres.pid, ...childrenOf(postgres.pid)],
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
