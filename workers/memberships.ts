import { withoutMembers } from '../src/postgres/conversations.ts';
import {
  dropRemovals,
  markRemovalsTold,
  type Removal,
  toldRemovals,
  untoldRemovals,
} from '../src/postgres/membership-changes.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { Stores } from '../src/stores.ts';
import { Backoff } from './backoff.ts';
import { LEFT_TO_THE_WEB_MS, TOLD_ONCE_MORE_AFTER_MS } from './privacy.ts';

const AT_ONCE = 500;
const SIDE_BY_SIDE = 50;

/**
 * Tells Redis of removals from conversations that are in PostgreSQL and that no web has told: it died in between, or Redis
 * was away. Whenever Redis was away, what it keeps of members is compared with PostgreSQL besides.
 */
export class MembershipKeeper {
  readonly #stores: Stores;
  #comparesNext = true;
  readonly #backoff = new Backoff();

  constructor(stores: Stores) {
    this.#stores = stores;
    stores.pulse.onBack(() => {
      this.#comparesNext = true;
      this.#backoff.reset();
    });
  }

  /** Whether what Redis keeps is to be compared with PostgreSQL now. */
  get comparesNow(): boolean {
    return this.#comparesNext && !this.#backoff.isWaiting;
  }

  /** One bounded pass: what waits is told, and what was told a while ago is told once more and forgotten. */
  async pass(): Promise<{ told: number; confirmed: number }> {
    const { db, memberships } = this.#stores;
    const untold = await untoldRemovals(db, LEFT_TO_THE_WEB_MS, AT_ONCE);
    const before = await toldRemovals(db, TOLD_ONCE_MORE_AFTER_MS, AT_ONCE);
    const first = await this.#tell(untold, async ({ conversationId, userId }) => [
      await memberships.remove(conversationId, userId),
    ]);
    await markRemovalsTold(db, first.told);
    const again = await this.#tell(before, ({ conversationId, userId, isKnown }) =>
      memberships.removeAgain(conversationId, userId, !isKnown),
    );
    await dropRemovals(db, again.told);
    for (const { failure } of [first, again]) if (failure !== null) throw failure;
    if (this.comparesNow) await this.#compare();
    return { told: first.told.length, confirmed: again.told.length };
  }

  /** Where it fails it stays due, at first after a second and then ever more seldom. */
  async #compare(): Promise<void> {
    this.#comparesNext = false;
    try {
      await compareMemberships(this.#stores);
      this.#backoff.reset();
    } catch (error) {
      this.#comparesNext = true;
      this.#backoff.failed();
      throw error;
    }
  }

  /** One that cannot be told keeps none of the others waiting. */
  async #tell(removals: Removal[], tell: (removal: Removal) => Promise<FollowUp[]>) {
    const told: Removal[] = [];
    const followUps: FollowUp[] = [];
    let failure: unknown = null;
    const tellOne = async (removal: Removal) => {
      // Who is a member again is to be put out of nothing.
      if (!removal.isMember) followUps.push(...(await tell(removal)));
      told.push(removal);
    };
    for (let from = 0; from < removals.length; from += SIDE_BY_SIDE) {
      const attempts = await Promise.allSettled(removals.slice(from, from + SIDE_BY_SIDE).map(tellOne));
      for (const attempt of attempts) if (attempt.status === 'rejected') failure ??= attempt.reason;
    }
    await this.#stores.queues.enqueue(...followUps);
    return { told, failure };
  }
}

/**
 * Takes from what Redis keeps of members, page by page, whom PostgreSQL does not know as such; says how many those were. Who
 * cannot be taken keeps none of the others waiting; in the end it rejects with what went wrong.
 */
export async function compareMemberships({ db, memberships, queues }: Stores): Promise<{ removed: number }> {
  let count = 0;
  let failure: unknown = null;
  for await (const page of memberships.kept()) {
    const removed = await withoutMembers(db, page);
    const attempts = await Promise.allSettled(
      removed.map(({ conversationId, userId }) => memberships.removeAgain(conversationId, userId, false)),
    );
    const told = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    for (const attempt of attempts) if (attempt.status === 'rejected') failure ??= attempt.reason;
    await queues.enqueue(...told.flat());
    count += told.length;
  }
  if (failure !== null) throw failure;
  return { removed: count };
}
