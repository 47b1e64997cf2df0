import { randomBytes } from 'node:crypto';
import type { Child } from './children.ts';
import { freePort, isFree } from './embedded/free-port.ts';
import { privateDatabase, privateRedis, startService } from './private-service.ts';
import { stopSignal } from './stop-signals.ts';

/**
 * The service on stores of its own, for `rollcall dev` and for `startRollcall` of `rollcall/testing`, which start this file. Its settings
 * come as JSON in ROLLCALL_SETTINGS and nowhere else: an application that is developed or tested beside it has a REDIS_URL and
 * a DATABASE_URL of its own. When it runs, a line of JSON on standard output says where. It ends, and all it started with it,
 * when asked to or when its standard input does.
 */
const KEPT = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot', 'NODE_EXTRA_CA_CERTS'];
/** Nothing is lost by it: the stores go too. */
const STOP_LIMIT_MS = 1500;

const { ROLLCALL_SETTINGS, ROLLCALL_LOGS } = process.env;
const stopping = Promise.race([stopSignal(), inputEnds()]);
const started: (() => Promise<void>)[] = [];
process.exitCode = await dev();
// Whatever a start that was cut short has left is taken away by the guard once this process is gone.
process.exit();

async function dev(): Promise<number> {
  try {
    const ended = await Promise.race([run(), stopping]);
    if (typeof ended === 'string') return 0;
    console.error(`${ended.name} ended unexpectedly. Its last lines:\n${ended.lastLines().join('\n')}`);
    return 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    for (const stop of started.reverse()) await stop().catch((error: unknown) => console.error(String(error)));
  }
}

/** Resolves with the process that ended without being asked to. */
async function run(): Promise<Child> {
  const onStarted = (stop: (limitMs?: number) => Promise<void>) => started.push(() => stop(STOP_LIMIT_MS));
  const given: Record<string, string> = JSON.parse(ROLLCALL_SETTINGS ?? '{}');
  const [REDIS_URL, DATABASE_URL, PORT] = await Promise.all([
    privateRedis(onStarted),
    privateDatabase(onStarted),
    port(given.PORT),
  ]);
  const kept = KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const env = {
    ...Object.fromEntries(kept),
    HOST: '127.0.0.1',
    JWT_SECRET: randomBytes(32).toString('base64url'),
    // It listens on this machine alone, and whoever develops has pages at many a port.
    CORS_ORIGINS: '*',
    ...given,
    PORT,
    REDIS_URL,
    DATABASE_URL,
  };
  const showLogs = ROLLCALL_LOGS === 'all';
  const { url, children } = await startService({ env, web: '../src/web/main.ts', showLogs, onStarted });
  console.log(JSON.stringify({ url, secret: env.JWT_SECRET, redisUrl: REDIS_URL, databaseUrl: DATABASE_URL }));
  return Promise.race(children.map((child) => child.ended.then(() => child)));
}

async function port(given: string | undefined): Promise<string> {
  if (given === undefined || given === '0') return String(await freePort());
  if (await isFree(Number(given))) return given;
  throw new Error(`Port ${given} is taken: stop what listens there, or name another.`);
}

function inputEnds(): Promise<'ended'> {
  return new Promise((resolve) => {
    process.stdin.once('end', () => resolve('ended'));
    process.stdin.once('close', () => resolve('ended'));
    process.stdin.resume();
  });
}
