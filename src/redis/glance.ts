import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import { runScript } from './scripts.ts';

/** Redis does nothing else while a script runs: of more users it is asked in several. */
const AT_ONCE = 250;
/** What the script answers for a user: a letter, and an ISO time or blanks. */
const WIDTH = 25;

/** What anybody may know of a user of whom there is nothing more to know; `lastSeen` ISO-8601. */
export interface Glanced {
  userId: string;
  status: 'active' | 'inactive';
  lastSeen: string | null;
}

/**
 * Looks at many users at once, as far as there is nothing more to them: their place in the answer is null where somebody has to be
 * settled first or not everybody may see the same, and `readStatuses` has to be asked. Errors are those of ioredis where Redis is away.
 */
export async function glance(
  { redis, keys, clock, ttlMs }: { redis: RedisClient; keys: Keys; clock: RedisClock; ttlMs: number },
  userIds: readonly string[],
  seesAll: boolean,
): Promise<(Glanced | null)[]> {
  const found: (Glanced | null)[] = new Array(userIds.length).fill(null);
  const ask = async (shard: number, places: readonly number[]) => {
    const names = places.map((place) => userIds[place] ?? '');
    const head = [keys.stem, keys.tag(shard), ttlMs, clock.now(shard), String(seesAll)];
    const [reply] = await runScript(redis, 'glance', [keys.due(shard), ...keys.guard(shard)], [...head, ...names]);
    const text = String(reply);
    for (const [n, userId] of names.entries()) {
      const at = n * WIDTH;
      const letter = text[at];
      if (letter === 'x') continue;
      const lastSeen = text[at + 1] === ' ' ? null : text.slice(at + 1, at + WIDTH);
      found[places[n] ?? 0] = { userId, status: letter === 'a' ? 'active' : 'inactive', lastSeen };
    }
  };
  await Promise.all([...chunks(keys, userIds)].map(([shard, places]) => ask(shard, places)));
  return found;
}

/** The places of users who can be asked about together, and a shard of theirs. */
function* chunks(keys: Keys, userIds: readonly string[]): Iterable<[number, number[]]> {
  const all = Array.from(userIds.keys());
  const together = keys.slotGroups.length === 1 ? [all] : Map.groupBy(all, (n) => shardOf(userIds[n] ?? '')).values();
  for (const places of together) {
    const shard = shardOf(userIds[places[0] ?? 0] ?? '');
    for (let from = 0; from < places.length; from += AT_ONCE) yield [shard, places.slice(from, from + AT_ONCE)];
  }
}
