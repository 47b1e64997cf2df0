import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, type Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import type { Stored } from './presence-types.ts';
import { detailText } from './record.ts';
import { followUpOf, type Reply, runScript, type ScriptName } from './scripts.ts';

const NEW = JSON.stringify({ version: 0, revision: 0, isNew: true });

/**
 * What PostgreSQL has of a user as the one argument that scripts take of it, read and described by `storedUser` in lua/lib-stored.lua.
 * A field more is a line here and one there. null: PostgreSQL was not asked.
 */
export function storedArgument(stored: Stored | null): string {
  if (stored === null) return '';
  if (stored === 'away') return 'away';
  if (stored === 'new') return NEW;
  const { version, lastSeen, status, hidden, detail, privacyRevision, unknown } = stored;
  return JSON.stringify({
    version,
    lastSeen: lastSeen ?? undefined,
    active: status === 'active' || undefined,
    hiddenMs: hidden ? Math.round(hidden.remainingMs ?? -1) : undefined,
    detail: detail ? detailText(detail.shown) || undefined : undefined,
    detailMs: detail?.remainingMs ?? undefined,
    revision: privacyRevision,
    isNew: unknown,
  });
}

/** Runs the scripts that need lua/lib-record.lua, each on one shard. */
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
    script: ScriptName,
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
        keys.choiceUnknown(shard),
        keys.wake('deliver', shard),
        keys.wake('record', shard),
        keys.seen(shard),
        keys.apartDue(shard),
        keys.apartActive(shard),
        keys.erased(shard),
        ...keys.guard(shard),
      ],
      [...this.#head(shard), ...args, isTraced(trace) ? trace : ''],
    );
    return { reply, followUp: followUpOf(shard, reply[0], trace) };
  }

  /** Runs one that only reads and settles nobody: of the keys it is given one of the shard's, for whose node and clock it asks. */
  read(script: ScriptName, shard: number, args: (string | number)[]): Promise<Reply[]> {
    const keys = [this.#keys.due(shard), ...this.#keys.guard(shard)];
    return runScript(this.#redis, script, keys, [...this.#head(shard), ...args]);
  }

  /** What every script's ARGV begins with (lua/lib-time.lua). */
  #head(shard: number): (string | number)[] {
    return [this.#keys.stem, this.#keys.tag(shard), this.#ttlMs, this.#clock.now(shard)];
  }
}
