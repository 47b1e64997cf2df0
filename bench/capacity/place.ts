import { Redis } from 'ioredis';
import pg from 'pg';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { Population } from '../load/population.ts';
import { Watcher } from '../load/watcher.ts';
import { scrapedAt } from '../measure/scrape.ts';
import { type Rollcall, startRollcall } from '../systems/rollcall.ts';
import { type SessionsHelper, startSessions } from '../systems/sessions.ts';
import { stopAll } from '../systems/system.ts';

/** How people behave, and how the deployment treats them. */
export interface Habit {
  ttlSeconds: number;
  intervalSeconds: number;
  /** Everybody comes or goes once in so many seconds. */
  changeSeconds: number;
}

/** A deployment that grows, and all by which it is looked at. */
export interface Place extends Habit {
  system: Rollcall;
  /** For those who fall silent. */
  extra: SessionsHelper;
  population: Population;
  redis: Redis;
  db: pg.Client;
  keys: ReturnType<typeof createKeys>;
  watcher: Watcher;
  heard: Heard;
  metricsPort: number;
  stop(): Promise<void>;
}

/** What the watcher was told that is not as it should be. */
export class Heard {
  readonly #population: Population;
  readonly #ttlMs: number;
  #false = 0;
  #lateMs: number[] = [];

  constructor(population: Population, ttlMs: number) {
    this.#population = population;
    this.#ttlMs = ttlMs;
  }

  take({ userId, status, lastSeen }: { userId: string; status: string; lastSeen?: string | null }): void {
    if (status !== 'inactive') return;
    if (userId.startsWith('silent-')) this.#lateMs.push(Date.now() - Date.parse(lastSeen ?? '') - this.#ttlMs);
    else if (this.#population.isHere(userId)) this.#false++;
  }

  /** Since the last question: who is here and was told inactive, and how long after their TTL the silent were. */
  since(): { falselyTold: number; lateMs: number[] } {
    const found = { falselyTold: this.#false, lateMs: this.#lateMs };
    this.#false = 0;
    this.#lateMs = [];
    return found;
  }
}

export async function startPlace(habit: Habit): Promise<Place> {
  const started: { stop(): Promise<void> }[] = [];
  const stop = () => stopAll(...started.toReversed());
  try {
    const metricsPort = await freePort();
    const system = await startRollcall({
      durable: true,
      env: {
        PRESENCE_TTL_SECONDS: String(habit.ttlSeconds),
        HEARTBEAT_INTERVAL_SECONDS: String(habit.intervalSeconds),
        MAX_WATCHED_USERS: '1000000',
        ...scrapedAt(metricsPort),
      },
    });
    started.push(system);
    const startBeating = async () => {
      const sessions = startSessions(system);
      started.push(sessions);
      await sessions.ask('keepBeating', habit.intervalSeconds * 1000);
      return sessions;
    };
    const extra = await startBeating();
    const redis = new Redis(system.redisUrl);
    const db = new pg.Client({ connectionString: system.stack.databaseUrl });
    started.push({ stop: async () => redis.disconnect() }, { stop: () => db.end() });
    await db.connect();
    const population = new Population(startBeating);
    const heard = new Heard(population, habit.ttlSeconds * 1000);
    const watcher = await Watcher.at(system, { batch: true, onChange: (change) => heard.take(change) });
    const keys = createKeys('', false);
    return { ...habit, system, extra, population, redis, db, keys, watcher, heard, metricsPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
