import type { Tracing } from '../telemetry/tracing.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { PresenceScripts } from './presence-scripts.ts';
import { toMs } from './status-replies.ts';

/** Redis does nothing else while a script runs: of more users it is asked in several. */
const AT_ONCE = 250;
/** What the script answers for a user. */
const PER_USER = 4;

/** What Redis knows of how a user is reached. */
export interface Reachable {
  userId: string;
  /** `open`: there is no record, or it does not say what the user chose; PostgreSQL has to be asked. */
  state: 'known' | 'open';
  /** Of an open one: there is a record, so somebody has been here. */
  recorded: boolean;
  /** Any source in force says that the user wants to be left alone. */
  dnd: boolean;
  attended: boolean;
  /** ms */
  lastSeen: number | null;
}

/** Looks at how people are reached, many in one pass. */
export class Reach {
  readonly #keys: Keys;
  readonly #scripts: PresenceScripts;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, ttlMs: number, tracing: Tracing) {
    this.#keys = keys;
    this.#scripts = new PresenceScripts(redis, keys, clock, ttlMs, tracing);
  }

  /**
   * What decides over each of these users, in their order. `withinMs`: how long ago an attended session was heard of at most; `roomId`: the
   * room that it has to be in, if any. Errors are those of ioredis where Redis is away.
   */
  async look(userIds: readonly string[], withinMs: number, roomId = ''): Promise<Reachable[]> {
    const found: Reachable[] = [];
    const ask = async (shard: number, places: readonly number[]) => {
      const names = places.map((place) => userIds[place] ?? '');
      const { reply } = await this.#scripts.run('reach', shard, [withinMs, roomId, ...names], '');
      for (const [n, userId] of names.entries()) {
        const [state, dnd, attended, lastSeen] = reply.slice(1 + n * PER_USER, 1 + (n + 1) * PER_USER);
        found[places[n] ?? 0] = {
          userId,
          state: state === 1 ? 'known' : 'open',
          recorded: state !== -1,
          dnd: dnd === 1,
          attended: attended === 1,
          lastSeen: toMs(lastSeen),
        };
      }
    };
    await Promise.all([...this.#chunks(userIds)].map(([shard, places]) => ask(shard, places)));
    return found;
  }

  /** The places of users who can be asked about together, and a shard of theirs. */
  *#chunks(userIds: readonly string[]): Iterable<[number, number[]]> {
    const groups = Map.groupBy(userIds.keys(), (n) => this.#keys.slotGroupOf(shardOf(userIds[n] ?? '')));
    for (const places of groups.values()) {
      const shard = shardOf(userIds[places[0] ?? 0] ?? '');
      for (let from = 0; from < places.length; from += AT_ONCE) yield [shard, places.slice(from, from + AT_ONCE)];
    }
  }
}
