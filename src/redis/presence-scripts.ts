import type { FollowUp } from '../presence/follow-up.ts';
import { isTraced, type TraceContext, type Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import type { OpenRequest, Stored } from './presence-types.ts';
import { packSources } from './record.ts';
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
  const { version, lastSeen, status, hidden, sources, detailRevision, privacyRevision, unknown } = stored;
  return JSON.stringify({
    version,
    lastSeen: lastSeen ?? undefined,
    active: status === 'active' || undefined,
    hiddenMs: hidden ? Math.round(hidden.remainingMs ?? -1) : undefined,
    sources: sources.length > 0 ? packSources(sources) : undefined,
    sourcesRevision: detailRevision || undefined,
    revision: privacyRevision,
    isNew: unknown,
  });
}

/** The rooms that a session names, as the one argument that lua/lib-rooms.lua reads. */
export function roomsArgument(rooms: OpenRequest['rooms']): string {
  return rooms === undefined ? '' : ['=', ...rooms.map(({ roomId, data }) => `${roomId} ${data}`)].join('\n');
}

/** What a script that takes users of several shards is given for one of them, behind the place of the shard. */
export interface Asked {
  shard: number;
  args: (string | number)[];
}

/** Runs the scripts that need lua/lib-record.lua. */
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

  /** Of what is done now: W3C's `traceparent`, or ''. */
  trace(): TraceContext {
    return this.#tracing.current();
  }

  /** The time (ms) by the clock of a shard, as far as known; 0: unknown. */
  now(shard: number): number {
    return this.#clock.now(shard);
  }

  /**
   * Runs a script on one shard. Returns what it answers, and what its caller owes to the queues. Throws ioredis's errors where Redis is
   * away, and RedisRefused.
   */
  async run(
    script: ScriptName,
    shard: number,
    args: (string | number)[],
    trace = this.trace(),
  ): Promise<{ reply: Reply[]; followUp: FollowUp }> {
    const keys = [...this.#keysOf(shard), ...this.#keys.guard(shard)];
    const reply = await runScript(this.#redis, script, keys, [...this.#head(shard), ...args, told(trace)]);
    return { reply, followUp: followUpOf(shard, reply[0], trace) };
  }

  /**
   * Runs a script that takes users of several shards, all of one node. Returns what it answers for each, and what its caller owes to the
   * queues for each shard. Throws as `run` does.
   */
  async runMany(
    script: ScriptName,
    asked: readonly Asked[],
    trace: TraceContext = '',
  ): Promise<{ replies: Reply[][]; followUps: FollowUp[] }> {
    const shards = [...new Set(asked.map(({ shard }) => shard))];
    const [first] = shards;
    if (first === undefined) return { replies: [], followUps: [] };
    const places = new Map(shards.map((shard, n) => [shard, n + 1]));
    const keys = [...shards.flatMap((shard) => this.#keysOf(shard)), ...this.#keys.guard(first)];
    const args = asked.flatMap(({ shard, args }) => [places.get(shard) ?? 0, ...args]);
    const [owed, ...replies] = await runScript(this.#redis, script, keys, [...this.#head(first), ...args, told(trace)]);
    return {
      replies: replies as Reply[][],
      followUps: shards.map((shard, n) => followUpOf(shard, (owed as Reply[])[n], trace)),
    };
  }

  #keysOf(shard: number): string[] {
    const keys = this.#keys;
    return [
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
    ];
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

/** A script tells of a trace only where somebody records it. */
function told(trace: TraceContext): TraceContext {
  return isTraced(trace) ? trace : '';
}
