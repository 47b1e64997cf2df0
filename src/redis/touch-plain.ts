import type { SessionState } from '../presence/session.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import type { Beat } from './presence-types.ts';
import { runScript } from './scripts.ts';

/** A beat that may need more than its time written down; its moment (ms) by Redis's clock, or its age with a minus. */
export interface Left {
  /** Its place among all. */
  beat: number;
  shard: number;
  moment: number;
}

/** A session's state as the scripts write it; '' for one that is not said anew. */
export const stateCode = (state: SessionState | null) => (state === null ? '' : state === 'idle' ? 'i' : 'a');

/** Takes those of the beats (named by their places) that change nothing but the time, and returns the others. */
export async function touchPlain(
  { redis, keys, clock, ttlMs }: { redis: RedisClient; keys: Keys; clock: RedisClock; ttlMs: number },
  beats: readonly Beat[],
  fresh: readonly number[],
): Promise<Left[]> {
  if (fresh.length === 0) return [];
  const places = new Map<number, number>();
  const names: string[] = [];
  const args: (string | number)[] = [];
  const shards: number[] = [];
  for (const beat of fresh) {
    const { userId, sessionId, conn, ageMs, state } = beats[beat] as Beat;
    const shard = shardOf(userId);
    shards.push(shard);
    let place = places.get(shard);
    if (place === undefined) {
      place = places.size;
      places.set(shard, place);
      names.push(keys.due(shard), keys.seen(shard), keys.apartDue(shard), keys.apartActive(shard));
    }
    args.push(place, userId, sessionId, conn, Math.round(ageMs), stateCode(state));
  }
  const [shard = 0] = shards;
  const begin = [keys.stem, keys.tag(shard), ttlMs, clock.now(shard)];
  const reply = await runScript(redis, 'touch-plain', [...names, ...keys.guard(shard)], [...begin, ...args]);
  const left: Left[] = [];
  for (let n = 0; n + 1 < reply.length; n += 2) {
    const place = Number(reply[n]) - 1;
    left.push({ beat: fresh[place] ?? 0, shard: shards[place] ?? 0, moment: Number(reply[n + 1]) });
  }
  return left;
}
