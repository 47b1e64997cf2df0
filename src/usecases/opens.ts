import { clearHidden, saveHidden } from '../postgres/users.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import type { Opened, OpenRequest, Stored } from '../redis/presence-types.ts';
import { timeOf } from '../redis/time.ts';
import type { Stores } from '../stores.ts';
import type { StoredUsers } from './stored-users.ts';
import { orUnavailable, postgresUnavailable, unavailable } from './unavailable.ts';

/** What became of an opening, and of the session that is open by now its state and when it is over (ms of Redis's clock). */
export interface Opening extends Pick<Opened, 'state' | 'endsAt'> {
  code: Exclude<Opened['code'], 'stored' | 'hide'>;
  /** A choice to appear inactive was made with it. */
  chosen: boolean;
}

/** Opens sessions, with what PostgreSQL has of users whom Redis does not know. */
export class Opens {
  readonly #stores: Stores;
  readonly #storedUsers: StoredUsers;
  readonly #followUps: FollowUps;

  constructor(stores: Stores, storedUsers: StoredUsers, followUps: FollowUps) {
    this.#stores = stores;
    this.#storedUsers = storedUsers;
    this.#followUps = followUps;
  }

  /** Opens (or restores) a session, or puts a lease. Throws UNAVAILABLE. */
  open(request: OpenRequest): Promise<Opening> {
    if (request.appear) return this.#openHidden(request);
    return orUnavailable(async () => {
      const from = performance.now();
      const opened = await this.#ask(request, null, from);
      if (opened.code !== 'stored') return openingOf(opened);
      const stored = await this.#storedUsers.stored(request.userId);
      const waitedMs = performance.now() - from;
      // Nothing is made of an erased user by a connection of theirs, also where Redis has lost that it was ended.
      const erasedAgoMs = typeof stored === 'object' ? stored.erasedAgoMs : undefined;
      if (request.mode === 'restore' && erasedAgoMs !== undefined && request.connectedAgeMs + waitedMs >= erasedAgoMs) {
        return { code: 'logout', state: null, endsAt: 0, chosen: false };
      }
      return openingOf(await this.#ask(request, stored, from));
    });
  }

  /**
   * Opens a session of somebody who is to appear inactive from the first moment; where they have one already, as ever. Whatever is not
   * opened leaves no choice behind. Throws UNAVAILABLE.
   */
  #openHidden(request: OpenRequest): Promise<Opening> {
    return orUnavailable(async () => {
      const from = performance.now();
      const { db, redis, keys } = this.#stores;
      const { userId } = request;
      const asked = await this.#ask({ ...request, appear: 'ask' }, null, from);
      if (asked.code !== 'stored' && asked.code !== 'hide') return openingOf(asked);
      let stored: Stored | null = asked.code === 'stored' ? await this.#storedUsers.stored(userId) : null;
      if (stored === 'away') throw postgresUnavailable();
      const before = typeof stored === 'object' && stored !== null ? stored.hidden : asked.hidden;
      const setAt = await timeOf(redis, keys.record(userId));
      // In PostgreSQL first: what a user chose outlives Redis.
      await saveHidden(db, userId, { expiresInMs: null, setAt });
      const takeBack = () =>
        before === null
          ? clearHidden(db, userId, setAt)
          : saveHidden(db, userId, { expiresInMs: before.remainingMs, setAt });
      try {
        const saved = { ...request, appear: 'saved' } as const;
        let opened = await this.#ask(saved, stored, from);
        if (opened.code === 'stored') {
          // The record vanished between two steps.
          stored = await this.#storedUsers.stored(userId);
          opened = await this.#ask(saved, stored, from);
        }
        const chosen = opened.code === 'ok' && opened.hidden !== null;
        // Not let in; or somebody of theirs came meanwhile, and is shown.
        if (!chosen) await takeBack();
        return { ...openingOf(opened), chosen: chosen && before === null };
      } catch (error) {
        await takeBack().catch(() => {});
        throw error;
      }
    });
  }

  async #ask(request: OpenRequest, stored: Stored | null, from: number): Promise<Opened> {
    // PostgreSQL may have taken its time, and the sign of life is older by that.
    const waitedMs = stored === null && request.appear !== 'saved' ? 0 : performance.now() - from;
    const { beatAgeMs, connectedAgeMs } = request;
    const aged = { ...request, beatAgeMs: beatAgeMs + waitedMs, connectedAgeMs: connectedAgeMs + waitedMs };
    const opened = await this.#stores.store.open(aged, stored);
    this.#followUps.add(opened.followUp);
    return opened;
  }
}

function openingOf({ code, state, endsAt }: Opened): Opening {
  if (code === 'stored' || code === 'hide') throw unavailable();
  return { code, state, endsAt, chosen: false };
}
