import { randomBytes } from 'node:crypto';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { startRedis } from '../../scripts/embedded/redis.ts';
import { type Program, startProgram } from './program.ts';
import type { System } from './system.ts';

export interface BaselineOptions {
  webs?: number;
  ttlSeconds?: number;
  pingSeconds?: number;
  nodeArgs?: string[];
}

export interface Tutorial extends System {
  name: 'tutorial';
  secret: string;
  redisUrl: string;
  programsStarted: Program[];
  settings: Record<string, string>;
}

/** Socket.IO with a handler that does nothing. */
export async function startBare({ pingSeconds = 25, nodeArgs = [] }: BaselineOptions = {}): Promise<System> {
  const port = await freePort();
  const env = { PORT: String(port), PING_SECONDS: String(pingSeconds) };
  const program = await startProgram('bench/baselines/bare.ts', env, { nodeArgs });
  return {
    name: 'bare',
    urls: [`http://127.0.0.1:${port}`],
    secret: null,
    redisUrl: null,
    parts: { web: () => [program.pid] },
    programs: () => [program.pid],
    readyOn: 'connect',
    stop: () => program.stop(),
  };
}

/** What people write by hand, on a Redis of its own. */
export async function startTutorial(options: BaselineOptions = {}): Promise<Tutorial> {
  const { webs = 1, ttlSeconds = 60, pingSeconds = 25, nodeArgs = [] } = options;
  const redis = await startRedis();
  const programs: Program[] = [];
  const stop = async () => {
    for (const program of programs) await program.stop();
    await redis.stop();
  };
  try {
    const settings = {
      REDIS_URL: redis.url,
      JWT_SECRET: randomBytes(32).toString('hex'),
      TTL_SECONDS: String(ttlSeconds),
      PING_SECONDS: String(pingSeconds),
    };
    const urls: string[] = [];
    for (let n = 0; n < webs; n++) {
      const port = await freePort();
      urls.push(`http://127.0.0.1:${port}`);
      const env = { ...settings, PORT: String(port) };
      programs.push(await startProgram('bench/baselines/tutorial/main.ts', env, { nodeArgs }));
    }
    const [first = '', ...others] = urls;
    return {
      name: 'tutorial',
      urls: [first, ...others],
      secret: settings.JWT_SECRET,
      redisUrl: redis.url,
      parts: { web: () => programs.map((program) => program.pid), redis: () => [redis.pid] },
      programs: () => programs.map((program) => program.pid),
      readyOn: 'ready',
      programsStarted: programs,
      settings,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
