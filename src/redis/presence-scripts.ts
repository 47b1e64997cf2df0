import type { Memory } from '../presence/change.ts';
import type { FollowUp } from '../presence/follow-up.ts';
import { isRecorded, type Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import type { Seed } from './presence-types.ts';
import { detailText } from './record.ts';
import { followUpOf, type Reply, runScript } from './scripts.ts';

/** What lua/lib.lua's `seedAt` reads: mode and memory. null: PostgreSQL was not asked. */
export function seedArgs(seed: Seed | null): (string | number)[] {
  if (seed === null) return ['', '', '', '', '', '', '', ''];
  if (seed === 'away') return ['away', '', '', '', '', '', '', ''];
  if (seed === 'new') return ['new', 0, '', 0, '', '', '', 0];
  return [seed.unknown ? 'new' : 'known', ...memoryArgs(seed)];
}

/** What lua/lib.lua's `memoryAt` reads. */
export function memoryArgs(memory: Memory): (string | number)[] {
  const hidden = memory.hidden === null ? '' : Math.round(memory.hidden.remainingMs ?? -1);
  const detail = memory.detail === null ? ['', ''] : [detailText(memory.detail.shown), memory.detail.remainingMs ?? ''];
  const active = memory.status === 'active' ? 1 : 0;
  return [memory.version, memory.lastSeen ?? '', active, hidden, ...detail, memory.privacyRevision];
}

/** Runs the scripts that begin with lua/lib.lua, each on one shard. */
export class PresenceScripts {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;
  readonly #ttlMs: number;
  readonly #tracing: Tracing;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, ttlMs: number, tracing: Tracing) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#tracing = tracing;
  }

  /** Returns what the script answers, and what its caller owes to the queues. Throws ioredis's errors where Redis is away. */
  async run(
    script: string,
    shard: number,
    args: (string | number)[],
    trace = this.#tracing.current(),
  ): Promise<{ reply: Reply[]; followUp: FollowUp }> {
    const keys = this.#keys;
    const reply = await runScript(
      this.#redis,
      script,
      [
        keys.due(shard),
        keys.outbox(shard),
        keys.pulse(shard),
        keys.hold(shard),
        keys.unrecorded(shard),
        keys.unseeded(shard),
        keys.wake('deliver', shard),
        keys.wake('record', shard),
        keys.seen(shard),
        keys.apartDue(shard),
        keys.apartActive(shard),
        keys.erased(shard),
        ...keys.guard(shard),
      ],
      [...this.#head(shard), ...args, isRecorded(trace) ? trace : ''],
    );
    return { reply, followUp: followUpOf(shard, reply[0], trace) };
  }

  /** Runs one that reads and settles nothing: lua/lib-time.lua is all of the preludes that it needs. */
  read(script: string, shard: number, args: (string | number)[]): Promise<Reply[]> {
    const keys = [this.#keys.due(shard), ...this.#keys.guard(shard)];
    return runScript(this.#redis, script, keys, [...this.#head(shard), ...args]);
  }

  /** What every script's ARGV begins with (lua/lib-time.lua). */
  #head(shard: number): (string | number)[] {
    return [this.#keys.stem, this.#keys.tag(shard), this.#ttlMs, this.#clock.now(shard)];
  }
}
