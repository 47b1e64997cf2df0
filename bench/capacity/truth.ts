import type { Place } from './place.ts';

const AT_ONCE = 500;

/** Everybody's `user:status` beside the truth: who is here and not active, who has left and is. */
export async function compareAll(place: Place): Promise<{ missing: number; lingering: number }> {
  const here = place.population.here();
  return {
    missing: here.length - (await active(place, here)),
    lingering: await active(place, place.population.gone()),
  };
}

async function active({ redis, keys }: Place, userIds: string[]): Promise<number> {
  let found = 0;
  for (let n = 0; n < userIds.length; n += AT_ONCE) {
    found += await redis.exists(...userIds.slice(n, n + AT_ONCE).map(keys.status));
  }
  return found;
}
