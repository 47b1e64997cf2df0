import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { ProcessFigures } from '../telemetry/process-figures.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import type { Pulse } from './pulse.ts';
import { timeOf } from './time.ts';

/** Who looks says so again within it. */
const LOOKED_AT_MS = 6000;
const SAY_EVERY_MS = 1500;
/** A process tells of itself every second at least while it is looked at. */
const FRESH_MS = 3500;
const KEPT_MS = 15_000;

type Told = Pick<ProcessFigures, 'kind' | 'figures'>;

/**
 * What all processes say of themselves, in one hash of Redis, for as long as an operator looks and no longer: a process learns by
 * its regular contact that somebody does. No user is named in it. Errors are those of ioredis where Redis is away.
 */
export class Processes {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Has this process tell of itself while somebody looks. */
  tell(pulse: Pulse, read: () => Told): void {
    let before = performance.eventLoopUtilization();
    pulse.onLooked((process) => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      // Whoever looks sees that it says nothing.
      this.#tell(process, { ...read(), ...ofProcess(utilization, pulse.answerMs) } as ProcessFigures).catch(() => {});
    });
  }

  /** What each process said of itself within the last seconds, workers behind webs; all of them from a second after the first look on. */
  async look(): Promise<ProcessFigures[]> {
    const { processes, onlookers, pulseShards } = this.#keys;
    if (performance.now() - this.#saidAt > SAY_EVERY_MS) {
      this.#saidAt = performance.now();
      await this.#redis.set(onlookers(pulseShards[0] ?? 0), 1, 'PX', LOOKED_AT_MS);
    }
    const [now, found] = await Promise.all([timeOf(this.#redis, processes), this.#redis.hgetall(processes)]);
    const told = Object.entries(found).map(([process, text]) => {
      const { at, ...figures }: ProcessFigures & { at: number } = JSON.parse(text);
      return { process, ageMs: now - at, figures: figures as ProcessFigures };
    });
    const ended = told.filter(({ ageMs }) => ageMs > KEPT_MS).map(({ process }) => process);
    if (ended.length > 0) await this.#redis.hdel(processes, ...ended);
    return told
      .filter(({ ageMs }) => ageMs < FRESH_MS)
      .map(({ figures }) => figures)
      .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  async #tell(process: string, figures: ProcessFigures): Promise<void> {
    const { processes } = this.#keys;
    const at = await timeOf(this.#redis, processes);
    await Promise.all([
      this.#redis.hset(processes, process, JSON.stringify({ at, ...figures })),
      // It goes with the last look.
      this.#redis.pexpire(processes, KEPT_MS),
    ]);
  }
}

function ofProcess(busy: number, redisMs: number) {
  return {
    host: hostname(),
    pid: process.pid,
    upSeconds: Math.round(process.uptime()),
    busy: Math.round(busy * 1000) / 1000,
    redisMs: Math.round(redisMs * 10) / 10,
  };
}

const order = ({ kind, host, pid }: ProcessFigures) => `${kind} ${host} ${`${pid}`.padStart(10, '0')}`;
