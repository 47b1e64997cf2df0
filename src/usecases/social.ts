import { RollcallError } from '../errors.ts';
import { isConnectionError } from '../postgres/errors.ts';
import type { Untold } from '../postgres/privacy.ts';
import { markTold, type PrivacyChange } from '../postgres/privacy-changes.ts';
import {
  type Alert,
  befriend,
  block,
  blocksOf,
  changeSettings,
  friendsOf,
  ListFull,
  type ListPage,
  MAX_BLOCKS,
  MAX_FRIENDS,
  type SettingsChange,
  setAlert,
  settingsOf,
  unblock,
  unfriend,
} from '../postgres/social.ts';
import type { FriendView, Settings } from '../protocol/social.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import type { Stores } from '../stores.ts';
import type { StatusApi } from './presence-api.ts';
import { tellPrivacy } from './privacy.ts';
import { orUnavailable } from './unavailable.ts';

const FRIENDS_AT_ONCE = 1000;

interface People {
  reads: Pick<StatusApi, 'statuses'>;
  followUps: FollowUps;
}

/**
 * Friends, blocks and settings. A change is in PostgreSQL first, and before the caller has an answer Redis has told every
 * watcher who gains or loses sight by it. Where Redis is away in between, a worker tells it as soon as it is back.
 * Throws UNAVAILABLE where a store is away.
 */
export class Social {
  readonly #stores: Pick<Stores, 'db' | 'privacy' | 'detailOrder'>;
  readonly #people: People;

  constructor(stores: Pick<Stores, 'db' | 'privacy' | 'detailOrder'>, people: People) {
    this.#stores = stores;
    this.#people = people;
  }

  /** The user's friends in the order of their ids, all or a page, as the user may see each of them. */
  async friends(userId: string, page?: ListPage): Promise<FriendView[]> {
    const friends = await orUnavailable(() => friendsOf(this.#stores.db, userId, page));
    const views: FriendView[] = [];
    for (let from = 0; from < friends.length; from += FRIENDS_AT_ONCE) {
      const page = friends.slice(from, from + FRIENDS_AT_ONCE);
      const alerts = new Map(page.map((friend) => [friend.userId, friend.alert]));
      for (const status of await this.#people.reads.statuses(userId, [...alerts.keys()])) {
        views.push({ ...status, alert: alerts.get(status.userId) ?? 'never' });
      }
    }
    return views;
  }

  /** Makes two users friends. Throws TOO_MANY_FRIENDS. */
  async befriend(userId: string, friendId: string): Promise<void> {
    await this.#change(() => befriend(this.#stores.db, userId, friendId));
  }

  /** Ends a friendship, for both. */
  async unfriend(userId: string, friendId: string): Promise<void> {
    await this.#change(() => unfriend(this.#stores.db, userId, friendId));
  }

  /** Sets whether the user is told when the friend becomes active. Throws USER_NOT_FOUND where they are no friends. */
  async setAlert(userId: string, friendId: string, alert: Alert): Promise<void> {
    const areFriends = await orUnavailable(() => setAlert(this.#stores.db, userId, friendId, alert));
    if (!areFriends) throw new RollcallError('USER_NOT_FOUND', { message: 'These two are not friends.' });
  }

  /** The ids of those whom the user blocks, in their order, all or a page. */
  async blocks(userId: string, page?: ListPage): Promise<string[]> {
    return orUnavailable(() => blocksOf(this.#stores.db, userId, page));
  }

  /** Blocks somebody: neither sees the other from then on. Throws TOO_MANY_BLOCKS. */
  async block(userId: string, blockedId: string): Promise<void> {
    await this.#change(() => block(this.#stores.db, userId, blockedId));
  }

  /** Ends a block that the user made. */
  async unblock(userId: string, blockedId: string): Promise<void> {
    await this.#change(() => unblock(this.#stores.db, userId, blockedId));
  }

  /** The user's settings. */
  async settings(userId: string): Promise<Settings> {
    return orUnavailable(() => settingsOf(this.#stores.db, userId));
  }

  /** Changes the settings that are named, and returns all of them. Throws TOO_MANY_FRIENDS. */
  async changeSettings(userId: string, wanted: SettingsChange): Promise<Settings> {
    return orUnavailable(async () => {
      const { settings, untold } = await changeSettings(this.#stores.db, userId, wanted).catch(refuseFull);
      await this.#tell(untold);
      return settings;
    });
  }

  async #change(make: () => Promise<Untold>): Promise<void> {
    await orUnavailable(async () => this.#tell(await make().catch(refuseFull)));
  }

  /** What could not be told goes on waiting in PostgreSQL. */
  async #tell(untold: Untold): Promise<void> {
    const told: PrivacyChange[] = [];
    const attempts = await Promise.allSettled(
      [...untold].map(async ([userId, news]) => {
        this.#people.followUps.add(await tellPrivacy(this.#stores, userId, news));
        told.push({ userId, revision: news.privacy.revision });
      }),
    );
    try {
      await markTold(this.#stores.db, told);
    } catch (error) {
      // It is told; that it is told once more does no harm.
      if (!isConnectionError(error)) throw error;
    }
    for (const attempt of attempts) if (attempt.status === 'rejected') throw attempt.reason;
  }
}

function refuseFull(error: unknown): never {
  if (!(error instanceof ListFull)) throw error;
  if (error.list === 'blocks') {
    throw new RollcallError('TOO_MANY_BLOCKS', {
      message: `A user can block ${MAX_BLOCKS} others at most; end a block first.`,
    });
  }
  throw new RollcallError('TOO_MANY_FRIENDS', {
    message: `With more than ${MAX_FRIENDS} friends a user's settings cannot say friends; end a friendship or choose another setting first.`,
  });
}
