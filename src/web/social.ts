import { RollcallError } from '../errors.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { markTold, type PrivacyChange } from '../postgres/privacy-changes.ts';
import {
  type Alert,
  befriend,
  block,
  blocksOf,
  changeSettings,
  friendsOf,
  type SettingsChange,
  setAlert,
  settingsOf,
  unblock,
  unfriend,
} from '../postgres/social.ts';
import type { Privacy } from '../presence/visibility.ts';
import type { FriendView, Settings } from '../protocol/social.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { applyPrivacy, type Services } from '../services.ts';
import { guarded } from './guarded.ts';
import type { PresenceApi } from './presence-api.ts';

const FRIENDS_AT_ONCE = 1000;

interface People extends Pick<PresenceApi, 'statuses'> {
  followUps: FollowUps;
}

/**
 * Friends, blocks and settings. A change is in PostgreSQL first, and before the caller has an answer Redis has told every
 * watcher who gains or loses sight by it. Where Redis is away in between, a worker tells it as soon as it is back.
 * Throws UNAVAILABLE where a store is away.
 */
export class Social {
  readonly #services: Pick<Services, 'db' | 'store'>;
  readonly #people: People;

  constructor(services: Pick<Services, 'db' | 'store'>, people: People) {
    this.#services = services;
    this.#people = people;
  }

  /** All friends, as the user may see each of them. */
  async friends(userId: string): Promise<FriendView[]> {
    const friends = await guarded(() => friendsOf(this.#services.db, userId));
    const views: FriendView[] = [];
    for (let from = 0; from < friends.length; from += FRIENDS_AT_ONCE) {
      const page = friends.slice(from, from + FRIENDS_AT_ONCE);
      const alerts = new Map(page.map((friend) => [friend.userId, friend.alert]));
      for (const status of await this.#people.statuses(userId, [...alerts.keys()])) {
        views.push({ ...status, alert: alerts.get(status.userId) ?? 'never' });
      }
    }
    return views;
  }

  async befriend(userId: string, friendId: string): Promise<void> {
    await this.#change(() => befriend(this.#services.db, userId, friendId));
  }

  async unfriend(userId: string, friendId: string): Promise<void> {
    await this.#change(() => unfriend(this.#services.db, userId, friendId));
  }

  /** Whether the user is told when the friend becomes active. Throws USER_NOT_FOUND where they are no friends. */
  async setAlert(userId: string, friendId: string, alert: Alert): Promise<void> {
    const areFriends = await guarded(() => setAlert(this.#services.db, userId, friendId, alert));
    if (!areFriends) throw new RollcallError('USER_NOT_FOUND', { message: 'These two are not friends.' });
  }

  async blocks(userId: string): Promise<string[]> {
    return guarded(() => blocksOf(this.#services.db, userId));
  }

  async block(userId: string, blockedId: string): Promise<void> {
    await this.#change(() => block(this.#services.db, userId, blockedId));
  }

  async unblock(userId: string, blockedId: string): Promise<void> {
    await this.#change(() => unblock(this.#services.db, userId, blockedId));
  }

  async settings(userId: string): Promise<Settings> {
    return guarded(() => settingsOf(this.#services.db, userId));
  }

  /** Changes what is named; answers with all of them. */
  async changeSettings(userId: string, wanted: SettingsChange): Promise<Settings> {
    return guarded(async () => {
      const { settings, untold } = await changeSettings(this.#services.db, userId, wanted);
      await this.#tell(untold);
      return settings;
    });
  }

  async #change(make: () => Promise<Map<string, Privacy>>): Promise<void> {
    await guarded(async () => this.#tell(await make()));
  }

  /** What could not be told goes on waiting in PostgreSQL. */
  async #tell(untold: Map<string, Privacy>): Promise<void> {
    const told: PrivacyChange[] = [];
    const attempts = await Promise.allSettled(
      [...untold].map(async ([userId, privacy]) => {
        this.#people.followUps.add(await applyPrivacy(this.#services, userId, privacy));
        told.push({ userId, revision: privacy.revision });
      }),
    );
    try {
      await markTold(this.#services.db, told);
    } catch (error) {
      // It is told; that it is told once more does no harm.
      if (!isConnectionError(error)) throw error;
    }
    for (const attempt of attempts) if (attempt.status === 'rejected') throw attempt.reason;
  }
}
