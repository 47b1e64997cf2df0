import type { FollowUp } from '../presence/follow-up.ts';
import type { SessionState } from '../presence/session.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { type Keys, shardOf } from './keys.ts';
import type { PresenceScripts } from './presence-scripts.ts';
import type { Beat, Ended } from './presence-types.ts';
import { runScript } from './scripts.ts';

export interface Touched {
  refused: { beat: number; code: 'missing' | Ended }[];
  followUps: FollowUp[];
}

interface Where {
  redis: RedisClient;
  keys: Keys;
  clock: RedisClock;
  ttlMs: number;
}

/** A beat that may need more than its time written down; its moment (ms) by Redis's clock, or its age with a minus. */
interface Left {
  /** Its place among all. */
  beat: number;
  shard: number;
  moment: number;
}

/** A session's state as the scripts write it; '' for one that is not said anew. */
export const stateCode = (state: SessionState | null) => (state === null ? '' : state === 'idle' ? 'i' : 'a');

/**
 * Beats of users who are all on one node, one of each connection at most. Returns those that need more, by their places: `missing` (open
 * again to restore), or ended; and what is owed to the queues. Throws ioredis's errors where Redis is away, and RedisRefused.
 */
export async function touch(where: Where, scripts: PresenceScripts, beats: readonly Beat[]): Promise<Touched> {
  const kept: Left[] = [];
  const fresh: number[] = [];
  for (const [n, { userId, ageMs, kept: wasKept }] of beats.entries()) {
    if (wasKept) kept.push({ beat: n, shard: shardOf(userId), moment: -Math.round(ageMs) });
    else fresh.push(n);
  }
  const [one, other] = await Promise.all([
    touchSessions(scripts, beats, kept),
    touchPlain(where, beats, fresh).then((left) => touchSessions(scripts, beats, left)),
  ]);
  return { refused: [...one.refused, ...other.refused], followUps: [...one.followUps, ...other.followUps] };
}

async function touchSessions(
  scripts: PresenceScripts,
  beats: readonly Beat[],
  left: readonly Left[],
): Promise<Touched> {
  const refused: Touched['refused'] = [];
  const touched = [...Map.groupBy(left, ({ shard }) => shard)].map(async ([shard, some]) => {
    const args = some.flatMap(({ beat, moment }) => {
      const { userId, sessionId, conn, state } = beats[beat] as Beat;
      return [userId, sessionId, conn, moment, stateCode(state)];
    });
    // Beats of many together: what one of them changes is nobody else's doing.
    const { reply, followUp } = await scripts.run('touch-sessions', shard, args, '');
    for (let n = 1; n + 1 < reply.length; n += 2) {
      const { beat } = some[Number(reply[n]) - 1] as Left;
      refused.push({ beat, code: reply[n + 1] as 'missing' | Ended });
    }
    return followUp;
  });
  return { refused, followUps: await Promise.all(touched) };
}

/** Takes those of the beats (named by their places) that change nothing but the time, and returns the others. */
async function touchPlain(
  { redis, keys, clock, ttlMs }: Where,
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
