import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { freePort } from '../scripts/embedded/free-port.ts';
import { startPostgres } from '../scripts/embedded/postgres.ts';
import { startRedis } from '../scripts/embedded/redis.ts';
import { migrate } from '../src/postgres/migrate.ts';

/** A web and a worker process on private stores. */
export interface Stack {
  urls: string[];
  secret: string;
  redisUrl: string;
  databaseUrl: string;
  /** Process ids, the stores' included. */
  pids: { web: number[]; worker: number[]; redis: number[]; postgres: number[] };
  stop(): Promise<void>;
}

export async function startStack({
  webs = 1,
  env = {},
}: {
  webs?: number;
  env?: Record<string, string>;
}): Promise<Stack> {
  const redis = await startRedis();
  const postgres = await startPostgres();
  const databaseUrl = await postgres.createDatabase('bench');
  await migrate(databaseUrl);
  const secret = randomBytes(32).toString('hex');
  const settings = {
    PATH: process.env.PATH ?? '',
    REDIS_URL: redis.url,
    DATABASE_URL: databaseUrl,
    JWT_SECRET: secret,
    HOST: '127.0.0.1',
    LOG_LEVEL: 'info',
    MAX_SESSIONS_PER_USER: '1000',
    ...env,
  };
  const urls: string[] = [];
  const programs: ChildProcess[] = [];
  for (let n = 0; n < webs; n++) {
    const port = await freePort();
    urls.push(`http://127.0.0.1:${port}`);
    programs.push(await launch('src/web/main.ts', { ...settings, PORT: String(port) }));
  }
  const worker = await launch('workers/main.ts', settings);
  return {
    urls,
    secret,
    redisUrl: redis.url,
    databaseUrl,
    pids: {
      web: programs.map((program) => program.pid ?? 0),
      worker: [worker.pid ?? 0],
      redis: [redis.pid],
      postgres: [postgres.pid, ...childrenOf(postgres.pid)],
    },
    stop: async () => {
      for (const program of [...programs, worker]) program.kill('SIGKILL');
      await redis.stop();
      await postgres.stop();
    },
  };
}

function launch(file: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('"msg":"started"')) resolve(child);
    });
  });
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => statOf(child)?.parent === pid);
}

function statOf(pid: number): { parent: number; cpuMs: number } | null {
  try {
    // The name of the program may hold blanks and brackets: what counts stands behind the last one.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    // In ticks of a hundredth of a second (USER_HZ).
    return { parent: Number(fields[1]), cpuMs: (Number(fields[11]) + Number(fields[12])) * 10 };
  } catch {
    return null;
  }
}

/** CPU time that these processes have used so far, user and system, in ms. */
export function cpuMs(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + (statOf(pid)?.cpuMs ?? 0), 0);
}

/** CPU ms per part of the stack during some work. */
export async function cpuDuring(stack: Stack, work: () => Promise<void>): Promise<Record<keyof Stack['pids'], number>> {
  const parts = Object.keys(stack.pids) as (keyof Stack['pids'])[];
  const before = parts.map((part) => cpuMs(stack.pids[part]));
  await work();
  const spent = parts.map((part, n) => cpuMs(stack.pids[part]) - (before[n] ?? 0));
  return Object.fromEntries(parts.map((part, n) => [part, spent[n] ?? 0])) as Record<keyof Stack['pids'], number>;
}
