import { randomBytes } from 'node:crypto';
import webPush from 'web-push';
import type { Child } from './children.ts';
import { freePort, isFree } from './embedded/free-port.ts';
import { type OnStarted, privateDatabase, privateRedis, startService } from './private-service.ts';

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
  onStarted: OnStarted;
}

/** Starts stores, migrates, starts web, worker and people; resolves when the web process says it is ready. */
export async function startDemo({ people, showLogs, onStarted }: DemoOptions): Promise<Demo> {
  const env = await environment(onStarted);
  const { url, children, start } = await startService({ env, web: './demo-web.ts', showLogs, onStarted });
  if (people > 0) {
    children.push(start('people', './people/main.ts', { ROLLCALL_URL: url }, ['--people', String(people)]));
  }
  return { url, secret: env.JWT_SECRET, admin: { user: env.ADMIN_USER, password: env.ADMIN_PASSWORD }, children };
}

/** The caller's settings, with stores, an address on this machine only, and secrets of the demo's own. */
async function environment(onStarted: OnStarted) {
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
