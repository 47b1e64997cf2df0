import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, SHARDS, shardOf } from './keys.ts';
import { runScript } from './scripts.ts';

/** Bits of the bitmap in lua/look.lua. */
const BITS = 96_000;
const MOST_POSITIONS = 4;

export interface LooksCounted {
  /** Nothing was counted: it would have been more than a day allows. */
  refused: boolean;
  /** How much of the day is left (ms). */
  leftMs: number;
  /** How many were looked at today. */
  looked: number;
}

/** How many others a user asks for by name, by day; lua/look.lua says how. Errors are those of ioredis where Redis is away. */
export class Looks {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;

  constructor(redis: RedisClient, keys: Keys, clock: RedisClock) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** Counts these, where the day allows all of them: `most` at most, those of `friends` aside. */
  async count(
    viewerId: string,
    userIds: readonly string[],
    most: number,
    friends: readonly string[] = [],
  ): Promise<LooksCounted> {
    const keys = this.#keys;
    const shard = shardOf(viewerId);
    const positions = Math.max(1, Math.min(MOST_POSITIONS, Math.round((BITS / most) * Math.LN2)));
    const reply = await runScript(
      this.#redis,
      'look',
      [keys.looks(viewerId), keys.looked(viewerId), keys.looking(shard)],
      [
        keys.stem,
        keys.tag(shard),
        0,
        this.#clock.now(shard),
        viewerId,
        most,
        positions,
        printsOf(userIds),
        printsOf(friends),
      ],
    );
    const [refused, leftMs, looked] = reply.map(Number);
    return { refused: refused === 1, leftMs: leftMs ?? 0, looked: looked ?? 0 };
  }

  /** Who looks at most others today, at most `limit` of those who look at more than a hundred, and how many that are. */
  async most(limit: number): Promise<{ userId: string; looked: number }[]> {
    const heads = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        this.#redis.zrevrange(this.#keys.looking(shard), 0, limit - 1, 'WITHSCORES'),
      ),
    );
    const all = heads.flatMap((head) =>
      head.flatMap((userId, n) => (n % 2 === 0 ? [{ userId, looked: Number(head[n + 1]) }] : [])),
    );
    return all.sort((a, b) => b.looked - a.looked).slice(0, limit);
  }
}

/** Eight bytes for each id: two hashes of FNV-1a (32 bit), the second behind another beginning. */
function printsOf(ids: readonly string[]): Buffer {
  const prints = Buffer.allocUnsafe(8 * ids.length);
  for (const [n, id] of ids.entries()) {
    let [a, b] = [0x811c9dc5, 0x9e3779b9];
    for (let at = 0; at < id.length; at++) {
      const code = id.charCodeAt(at);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x85ebca6b) ^ (b >>> 15);
    }
    prints.writeUInt32BE(mixed(a), 8 * n);
    prints.writeUInt32BE(mixed(b), 8 * n + 4);
  }
  return prints;
}

/** Every bit of it hangs on all bits, as one that chooses a place has to. */
function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
