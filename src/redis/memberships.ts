import type { FollowUp } from '../presence/follow-up.ts';
import type { RedisClient } from './connect.ts';
import type { Indicators } from './indicators.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { runScript } from './scripts.ts';

/** After PostgreSQL said so, however often it is asked for. */
const COUNTS_MS = 3 * 60_000;
/** Listed for longer: whoever compares what is kept with PostgreSQL finds those whom it let in a moment ago, too. */
const LISTED_MS = 60_000;
/** Outlives every question that was on its way to PostgreSQL at a removal. */
const REMOVED_MS = 20_000;
/** The clocks of two nodes, of which one took over from the other, differ by less. */
const CLOCKS_MS = 5000;
const PAGE = 500;

/** Keeps for some minutes what PostgreSQL said of who belongs to which conversation. */
export class Memberships {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #indicators: Indicators;
  /** When a shard could be reached again last (performance.now()). */
  readonly #returned = new Map<number, number>();

  constructor(redis: RedisClient, keys: Keys, indicators: Indicators) {
    this.#redis = redis;
    this.#keys = keys;
    this.#indicators = indicators;
  }

  /** Trusts nothing that was kept of these shards before: they were out of reach, and may be back with older data. */
  distrust(shards: readonly number[]): void {
    for (const shard of shards) this.#returned.set(shard, performance.now());
  }

  /** Whether PostgreSQL said lately that the user is a member; false: it has to be asked. */
  async isKept(conversationId: string, userId: string): Promise<boolean> {
    const returned = this.#returned.get(shardOf(conversationId));
    const sinceMs = returned === undefined ? COUNTS_MS : performance.now() - returned - CLOCKS_MS;
    return this.#run('ask', conversationId, userId, Math.floor(Math.min(COUNTS_MS, sinceMs)));
  }

  /** Keeps for some minutes that PostgreSQL says the user is a member; not where the user was removed since it was asked. */
  async keep(conversationId: string, userId: string): Promise<void> {
    await this.#run('keep', conversationId, userId, LISTED_MS);
  }

  /**
   * Makes a removal, which PostgreSQL has already, count everywhere: nobody lets the user in by what was kept, all that
   * they do there ends, and the webs let their sockets go. The caller owes the follow-up to the queues.
   */
  async remove(conversationId: string, userId: string): Promise<FollowUp> {
    await this.#run('drop', conversationId, userId, REMOVED_MS);
    return this.#indicators.expel(conversationId, userId);
  }

  /**
   * Removes somebody again who was removed a while ago, should Redis not know. `quietly`: the webs hear of it only
   * where Redis did not know, for the user has no sockets. The caller owes the follow-ups to the queues.
   */
  async removeAgain(conversationId: string, userId: string, quietly: boolean): Promise<FollowUp[]> {
    const wasKept = await this.#run('drop', conversationId, userId, 0);
    return wasKept || !quietly ? [await this.#indicators.expel(conversationId, userId)] : [];
  }

  /** All memberships that are kept, and those that were until a moment ago, a page at a time; some may come twice. */
  async *kept(): AsyncGenerator<{ conversationId: string; userId: string }[]> {
    for (let shard = 0; shard < SHARDS; shard++) {
      let cursor = '0';
      do {
        const [next, flat] = await this.#redis.zscan(this.#keys.members(shard), cursor, 'COUNT', PAGE);
        cursor = next;
        const pairs = flat.filter((_, n) => n % 2 === 0).map((pair) => pair.split(' '));
        if (pairs.length > 0) yield pairs.map(([conversationId = '', userId = '']) => ({ conversationId, userId }));
      } while (cursor !== '0');
    }
  }

  async #run(action: 'ask' | 'keep' | 'drop', conversationId: string, userId: string, ms: number): Promise<boolean> {
    const shard = shardOf(conversationId);
    const keys = [this.#keys.members(shard), this.#keys.removedMembers(shard)];
    const [done] = await runScript(this.#redis, 'membership', keys, [
      action,
      `${conversationId} ${userId}`,
      COUNTS_MS,
      ms,
    ]);
    return done === 1;
  }
}
