import { noteActive } from '../src/postgres/analytics.ts';
import type { Stores } from '../src/stores.ts';

/**
 * Notes how many are active in this minute, several runs a minute so that none is skipped; the first that can tell stands.
 * A minute in which Redis could not tell, or no worker ran, stays a gap.
 */
export async function noteMinute({ seen, db }: Stores) {
  const { now, complete, held } = await seen.state();
  if (!complete || held) return { waiting: 'Redis has not heard of everybody yet' };
  const { active } = await seen.count(now, []);
  await noteActive(db, now, active);
  return { active };
}
