import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './children.ts';
import { startPostgres } from './embedded/postgres.ts';
import { startRedis } from './embedded/redis.ts';

export interface ServiceOptions {
  /** All settings of the processes, HOST and PORT among them. */
  env: NodeJS.ProcessEnv & { HOST: string; PORT: string };
  /** The program of the web process. */
  web: string;
  showLogs: boolean;
  onStarted: OnStarted;
}

/** Told at once of everything that is started how to stop it, also when a later step fails. */
export type OnStarted = (stop: () => Promise<void>) => void;

export interface Service {
  url: string;
  /** The processes that have to stay for the service to go on. */
  children: Child[];
  /** Starts another program beside them, with these settings more. */
  start(name: string, path: string, more?: NodeJS.ProcessEnv, args?: string[]): Child;
}

const readyLimitMs = 60_000;

/** Migrates, starts a worker and a web process, and resolves when the web says it is ready. */
export async function startService({ env, web, showLogs, onStarted }: ServiceOptions): Promise<Service> {
  const start: Service['start'] = (name, path, more = {}, args = []) => {
    const file = fileURLToPath(new URL(path, import.meta.url));
    const show = showLogs ? () => true : isError;
    const child = startChild(name, [file, ...args], { env: { ...env, ...more }, show });
    onStarted(child.stop);
    return child;
  };
  const url = `http://${env.HOST}:${env.PORT}`;
  const migration = start('migrate', './migrate.ts');
  if ((await migration.ended).code !== 0) {
    throw new Error(`The migration failed:\n${migration.lastLines().join('\n')}`);
  }
  const children = [start('worker', '../workers/main.ts'), start('web', web)];
  await untilReady(url, children);
  return { url, children, start };
}

/** A Redis that nobody else has; its address. */
export async function privateRedis(onStarted: OnStarted): Promise<string> {
  const redis = await startRedis();
  onStarted(redis.stop);
  return redis.url;
}

/** A database on a PostgreSQL that nobody else has; its address. */
export async function privateDatabase(onStarted: OnStarted): Promise<string> {
  const postgres = await startPostgres();
  onStarted(postgres.stop);
  return postgres.createDatabase('rollcall');
}

async function untilReady(url: string, children: Child[]): Promise<void> {
  const deadline = Date.now() + readyLimitMs;
  const failed = Promise.race(
    children.map(async (child) => {
      await child.ended;
      throw new Error(`${child.name} ended before it was ready. Its last lines:\n${child.lastLines().join('\n')}`);
    }),
  );
  // Once ready, an end is no longer this function's affair.
  failed.catch(() => {});
  while (!(await isReady(url))) {
    if (Date.now() > deadline) throw new Error(`${url}/readyz did not say ready within ${readyLimitMs / 1_000} s.`);
    await Promise.race([delay(100), failed]);
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const body: unknown = await answer.json();
    return answer.ok && typeof body === 'object' && body !== null && 'ready' in body && body.ready === true;
  } catch {
    return false;
  }
}

/** Errors and worse of pino's JSON lines. What a crash leaves is shown when the process has ended. */
function isError(line: string): boolean {
  const level = /^\{"level":"?(\w+)/.exec(line)?.[1];
  return level === 'error' || level === 'fatal' || Number(level) >= 50;
}
