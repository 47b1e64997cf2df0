import { isConnectionError } from '../src/postgres/errors.ts';
import { privaciesOf, restrictedUsers } from '../src/postgres/privacy.ts';
import type { Privacy } from '../src/presence/visibility.ts';
import { isRedisAway } from '../src/redis/absence.ts';
import type { CachedPrivacy } from '../src/redis/privacy-cache.ts';
import type { Stores } from '../src/stores.ts';
import { tellPrivacy } from '../src/usecases/privacy.ts';
import { Backoff } from './backoff.ts';
import { eraseAgain } from './erasure.ts';
import { tellAll } from './privacy.ts';

const AT_ONCE = 500;
/** Of so many it is remembered that they could not be told; beyond that the comparison waits for them. */
const MOST_LEFT = 1000;

/**
 * Compares what Redis goes by with PostgreSQL: for everybody who ever restricted anything, and for everybody whom Redis takes for
 * somebody who did. What a Redis that came back has lost, or has of older, is told anew. Bounded passes of a page each. Where
 * a store goes away in between, `run` goes on from the page at which it stopped; who alone cannot be told keeps none of the
 * others waiting, and is tried again by the next `run`.
 */
class PrivacyComparison {
  readonly #stores: Stores;
  /** The last of PostgreSQL's that was looked at; null: all of them were. */
  #after: string | null = '';
  #restrictedInRedis = false;
  /** Who could not be told. */
  #left = new Set<string>();
  #failure: unknown = null;
  readonly #counts = { compared: 0, mended: 0 };

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** Rejects with what went wrong where anything did: call it again, and what is left is done. */
  async run(): Promise<{ compared: number; mended: number }> {
    const { db, privacy } = this.#stores;
    this.#failure = null;
    await this.#tell([...this.#left]);
    while (this.#after !== null) {
      const page = await restrictedUsers(db, this.#after, AT_ONCE);
      if (page.length > 0) {
        await privacy.noteRestricted(page.flatMap((user) => (user.privacy.open ? [] : user.userId)));
        await this.#mend(page);
      }
      this.#after = page.at(-1)?.userId ?? null;
    }
    if (!this.#restrictedInRedis) {
      await privacy.noteAllRestricted();
      for await (const userIds of privacy.restricted()) {
        // Noted as restricted they are not to be, whatever else Redis has of them: they may have been erased meanwhile.
        const privacies = await privaciesOf(db, userIds);
        await this.#tell([...privacies].flatMap(([userId, one]) => (one.open ? userId : [])));
        this.#counts.compared += userIds.length;
      }
      this.#restrictedInRedis = true;
    }
    if (this.#left.size > 0) throw this.#failure;
    return this.#counts;
  }

  async #mend(users: { userId: string; privacy: Privacy }[]): Promise<void> {
    const cached = await this.#stores.privacy.cached(users.map(({ userId }) => userId));
    await this.#tell(users.flatMap((user, n) => (agrees(user.privacy, cached[n]) ? [] : user.userId)));
    this.#counts.compared += users.length;
  }

  /** Throws where a store is away, or where there are too many who cannot be told. */
  async #tell(userIds: string[]): Promise<void> {
    const failures = await tellAll(this.#stores, userIds, (userId) => tellPrivacy(this.#stores, userId, null));
    for (const userId of userIds) {
      if (!failures.has(userId)) {
        this.#left.delete(userId);
        this.#counts.mended++;
      }
    }
    for (const [userId, failure] of failures) {
      if (isRedisAway(failure) || isConnectionError(failure)) throw failure;
      if (this.#left.size >= MOST_LEFT && !this.#left.has(userId)) throw failure;
      this.#left.add(userId);
      this.#failure ??= failure;
    }
  }
}

/** Compares once, from the beginning to the end. Rejects with what went wrong where anything did. */
export function comparePrivacy(stores: Stores): Promise<{ compared: number; mended: number }> {
  return new PrivacyComparison(stores).run();
}

/** Compares once a worker has started, and after every return of Redis, which may have come back with less or older. */
export class PrivacyComparer {
  readonly #stores: Stores;
  readonly #backoff = new Backoff();
  #comparison: PrivacyComparison | null;

  constructor(stores: Stores) {
    this.#stores = stores;
    this.#comparison = new PrivacyComparison(stores);
    stores.pulse.onBack(() => {
      // Of what was compared before, something may be missing again.
      this.#comparison = new PrivacyComparison(stores);
      this.#backoff.reset();
    });
  }

  /** Compares where that is due; what failed is gone on with, at first after a second and then ever more seldom. */
  async pass(): Promise<void> {
    const comparison = this.#comparison;
    if (comparison === null || this.#backoff.isWaiting) return;
    try {
      await comparison.run();
      await eraseAgain(this.#stores);
    } catch (error) {
      if (this.#comparison === comparison) this.#backoff.failed();
      throw error;
    }
    if (this.#comparison !== comparison) return;
    this.#comparison = null;
    this.#backoff.reset();
  }
}

/** Whether Redis goes by what PostgreSQL says, or knows that it does not know. */
function agrees({ revision, open }: Privacy, cached: CachedPrivacy | undefined): boolean {
  if (cached === undefined) return false;
  if (open)
    return (cached.mark === '0' || cached.mark === '') && (cached.revision === 0 || cached.revision === revision);
  return cached.revision === revision && (cached.mark === '' || cached.mark === String(revision));
}
