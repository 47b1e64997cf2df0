import { setTimeout as delay } from 'node:timers/promises';
import { RollcallError } from '../errors.ts';
import { isNamed } from '../postgres/erasure.ts';
import { loadProfile, saveProfile } from '../postgres/profiles.ts';
import type { Profile, ProfileBody } from '../protocol/social.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { shardOf } from '../redis/keys.ts';
import type { Stores } from '../stores.ts';
import { AuditLog } from './audit.ts';
import type { StatusApi } from './presence-api.ts';
import { orUnavailable } from './unavailable.ts';

/** How long a worker may take to erase a user from PostgreSQL before the caller is asked to look again. */
const ERASURE_LIMIT_MS = 5000;
const LOOK_EVERY_MS = 50;

interface People {
  reads: Pick<StatusApi, 'status'>;
  followUps: FollowUps;
}

/** Profiles: who a user is, beside whether they are here. Throws UNAVAILABLE where a store is away. */
export class Profiles {
  readonly #stores: Pick<Stores, 'db' | 'store' | 'outbox' | 'queues'>;
  readonly #presence: People;
  readonly #audit: AuditLog;

  constructor(stores: Pick<Stores, 'db' | 'store' | 'outbox' | 'queues'>, presence: People) {
    this.#stores = stores;
    this.#presence = presence;
    this.#audit = new AuditLog(stores);
  }

  /** A user's profile, with the last seen as the user sees it. Throws USER_NOT_FOUND. */
  async profile(userId: string): Promise<Profile> {
    // As the user sees it: Redis's last seen is ahead of PostgreSQL's.
    const { lastSeen } = await this.#presence.reads.status(userId, userId);
    const stored = await orUnavailable(() => loadProfile(this.#stores.db, userId));
    // Who connected a moment ago is in Redis first.
    const createdAt = stored?.createdAt.toISOString() ?? lastSeen ?? new Date().toISOString();
    return {
      userId,
      displayName: stored?.displayName ?? null,
      avatarUrl: stored?.avatarUrl ?? null,
      createdAt,
      lastSeen,
    };
  }

  /** Changes what is named of a profile, and returns all of it. A user nobody heard of becomes known. */
  async save(userId: string, { displayName, avatarUrl }: ProfileBody): Promise<Profile> {
    await orUnavailable(() =>
      saveProfile(this.#stores.db, userId, { displayName: displayName === '' ? null : displayName, avatarUrl }),
    );
    return this.profile(userId);
  }

  /**
   * Erases the user everywhere: at once for watchers and sockets, and from PostgreSQL by a worker, behind all that was
   * still to be recorded. Somebody who never came is erased where others' lists name them. Throws USER_NOT_FOUND where
   * nothing does, and UNAVAILABLE where it is not known to be done yet: it may be, and asking again does no harm. `by`: the
   * service that does it, for the audit; null: the user itself.
   */
  async erase(userId: string, by: string | null): Promise<void> {
    const { store, outbox } = this.#stores;
    const isKnown = await this.#presence.reads.status(null, userId).then(
      () => true,
      (error: unknown) => {
        if (error instanceof RollcallError && error.code === 'USER_NOT_FOUND') return false;
        throw error;
      },
    );
    await orUnavailable(async () => {
      // Where PostgreSQL cannot forget now, nothing is begun.
      if (!(await isNamed(this.#stores.db, userId)) && !isKnown) throw new RollcallError('USER_NOT_FOUND');
      // Before it is done, which takes the name out of it.
      if (by !== null) await this.#audit.note({ actor: by, act: 'erase', subject: userId, detail: null });
      const { position, followUp } = await store.erase(userId);
      this.#presence.followUps.add(followUp);
      for (const until = performance.now() + ERASURE_LIMIT_MS; performance.now() < until; await delay(LOOK_EVERY_MS)) {
        if (await outbox.isRecorded(shardOf(userId), position)) return;
      }
      const message =
        'The erasure has begun, and no worker has recorded it yet: ask again, until 204, or 404 once it is done.';
      throw new RollcallError('UNAVAILABLE', { message, retryAfterMs: ERASURE_LIMIT_MS });
    });
  }
}
