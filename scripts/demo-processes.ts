import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import webPush from 'web-push';
import { type Child, startChild } from './children.ts';
import { freePort, isFree } from './embedded/free-port.ts';
import { startPostgres } from './embedded/postgres.ts';
import { startRedis } from './embedded/redis.ts';

export interface Demo {
  url: string;
  secret: string;
  admin: { user: string; password: string };
  /** The processes that have to stay for the demo to go on. */
  children: Child[];
}

export interface DemoOptions {
  people: number;
  showLogs: boolean;
  /** Told at once of everything that is started how to stop it, also when a later step fails. */
  onStarted(stop: () => Promise<void>): void;
}

const readyLimitMs = 60_000;

/** Starts stores, migrates, starts web, worker and people; resolves when the web process says it is ready. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { onStarted } = options;
  const start = (name: string, path: string, env: NodeJS.ProcessEnv, args: string[] = []): Child => {
    const file = fileURLToPath(new URL(path, import.meta.url));
    const show = options.showLogs ? () => true : isError;
    const child = startChild(name, [file, ...args], { env, show });
    onStarted(child.stop);
    return child;
  };

  const env = await environment(onStarted);
  const url = `http://${env.HOST}:${env.PORT}`;

  const migration = start('migrate', './migrate.ts', env);
  if ((await migration.ended).code !== 0) {
    throw new Error(`The migration failed:\n${migration.lastLines().join('\n')}`);
  }
  const children = [start('worker', '../workers/main.ts', env), start('web', './demo-web.ts', env)];
  await untilReady(url, children);
  if (options.people > 0) {
    const peopleEnv = { ...env, ROLLCALL_URL: url };
    children.push(start('people', './people/main.ts', peopleEnv, ['--people', String(options.people)]));
  }
  return { url, secret: env.JWT_SECRET, admin: { user: env.ADMIN_USER, password: env.ADMIN_PASSWORD }, children };
}

/** The caller's settings, with stores, an address on this machine only, and secrets of the demo's own. */
async function environment(onStarted: DemoOptions['onStarted']) {
  const { JWT_PUBLIC_KEY: _1, JWKS_URL: _2, JWT_ISSUER: _3, JWT_AUDIENCE: _4, ...given } = process.env;
  if (!given.REDIS_URL || !given.DATABASE_URL) console.log('Starting private stores …');
  const [redisUrl, databaseUrl] = await Promise.all([
    given.REDIS_URL || privateRedis(onStarted),
    given.DATABASE_URL || privateDatabase(onStarted),
  ]);
  return {
    ...given,
    HOST: '127.0.0.1',
    PORT: String(await port(given.PORT)),
    REDIS_URL: redisUrl,
    DATABASE_URL: databaseUrl,
    JWT_SECRET: randomBytes(32).toString('base64url'),
    ...pushKeys(given),
    // Nobody watches a demo for the ten minutes after which a return is worth an alert elsewhere.
    ALERT_MIN_ABSENCE_SECONDS: given.ALERT_MIN_ABSENCE_SECONDS || '10',
    ALERT_STABLE_SECONDS: given.ALERT_STABLE_SECONDS || '2',
    ALERT_COOLDOWN_SECONDS: given.ALERT_COOLDOWN_SECONDS || '30',
    ADMIN_USER: given.ADMIN_USER || 'admin',
    ADMIN_PASSWORD: given.ADMIN_PASSWORD || randomBytes(9).toString('base64url'),
  };
}

/** Keys of the demo's own, so that the page can subscribe to Web Push, unless there are some. */
function pushKeys(given: NodeJS.ProcessEnv) {
  if (given.VAPID_PUBLIC_KEY || given.VAPID_PRIVATE_KEY) return {};
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  return {
    VAPID_PUBLIC_KEY: publicKey,
    VAPID_PRIVATE_KEY: privateKey,
    VAPID_SUBJECT: given.VAPID_SUBJECT || 'mailto:demo@example.com',
  };
}

async function port(given: string | undefined): Promise<number> {
  const wanted = Number(given || 3000);
  if (wanted === 0) return freePort();
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) throw new Error(`PORT is no port: ${given}`);
  if (await isFree(wanted)) return wanted;
  const other = await freePort();
  console.log(`Port ${wanted} is taken: using ${other}.`);
  return other;
}

async function privateRedis(onStarted: DemoOptions['onStarted']): Promise<string> {
  const redis = await startRedis();
  onStarted(redis.stop);
  return redis.url;
}

async function privateDatabase(onStarted: DemoOptions['onStarted']): Promise<string> {
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
