import { LRUCache } from 'lru-cache';
import { RollcallError } from '../errors.ts';
import { privacyList } from '../postgres/privacy.ts';
import { friendsAmong } from '../postgres/social.ts';
import type { Stores } from '../stores.ts';
import { orUnavailable } from './unavailable.ts';

const PAGE = 5000;
/** Of whom has more, the others count. */
const MOST_FRIENDS = 10_000;
/** Lists of friends are looked up for those alone who are at their limit, and kept for a moment, for they ask again. */
const KEPT_MS = 10_000;
const KEPT_USERS = 200;

/** How many others an end user may ask for by name on a day (UTC). */
export interface LookApi {
  /**
   * Counts those who are asked for, each once a day and friends not; what goes beyond is refused whole, with RATE_LIMITED, and not
   * counted. Throws UNAVAILABLE where it cannot be known.
   */
  count(viewerId: string, userIds: readonly string[]): Promise<void>;
}

/**
 * Bounds how many others a user can look at by their ids, so that nobody watches everybody: it hangs on the viewer alone, and says
 * nothing of who is looked at. Who their friends are is asked only of those who would be refused.
 */
export class LookBudget implements LookApi {
  readonly #stores: Pick<Stores, 'db' | 'looks'>;
  readonly #most: number;
  readonly #refused: () => void;
  readonly #friends = new LRUCache<string, Promise<Set<string>>>({ max: KEPT_USERS, ttl: KEPT_MS });

  /** `most`: so many a day, 0: any number; `refused` is told of every refusal. */
  constructor(stores: Pick<Stores, 'db' | 'looks'>, most: number, refused: () => void) {
    this.#stores = stores;
    this.#most = most;
    this.#refused = refused;
  }

  async count(viewerId: string, userIds: readonly string[]): Promise<void> {
    const others = userIds.filter((userId) => userId !== viewerId);
    if (this.#most === 0 || others.length === 0) return;
    const { looks } = this.#stores;
    const first = await orUnavailable(() => looks.count(viewerId, others, this.#most));
    if (!first.refused) return;
    const friends = await orUnavailable(() => this.#friendsOf(viewerId));
    const countStrangers = () => {
      const strangers = others.filter((userId) => !friends.has(userId));
      return orUnavailable(() => looks.count(viewerId, strangers, this.#most, [...friends]));
    };
    let again = await countStrangers();
    if (again.refused) {
      // Who became a friend since the list was read is none of those it has.
      const since = await orUnavailable(() => friendsAmong(this.#stores.db, viewerId, others));
      const more = since.filter((userId) => !friends.has(userId));
      for (const userId of more) friends.add(userId);
      if (more.length > 0) again = await countStrangers();
    }
    if (!again.refused) return;
    this.#refused();
    const message = `More than ${this.#most} users were asked for today: those who were can be asked for again.`;
    throw new RollcallError('RATE_LIMITED', { message, retryAfterMs: Math.max(1, again.leftMs) });
  }

  /** Who looks at most others today, for operators; only who looks at more than a hundred is known by name. */
  mostLooking(limit: number): Promise<{ userId: string; looked: number }[]> {
    return orUnavailable(() => this.#stores.looks.most(limit));
  }

  #friendsOf(userId: string): Promise<Set<string>> {
    const kept = this.#friends.get(userId);
    if (kept) return kept;
    const asked = this.#askFriends(userId);
    this.#friends.set(userId, asked);
    asked.catch(() => this.#friends.delete(userId));
    return asked;
  }

  async #askFriends(userId: string): Promise<Set<string>> {
    const friends: string[] = [];
    while (friends.length < MOST_FRIENDS) {
      const page = await privacyList(this.#stores.db, userId, 'friends', friends.at(-1) ?? '', PAGE);
      friends.push(...page);
      if (page.length < PAGE) break;
    }
    return new Set(friends);
  }
}
