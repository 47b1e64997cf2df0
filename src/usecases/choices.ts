import type { Logger } from '../log.ts';
import { loadStoredUsers, recentlyHidden } from '../postgres/users.ts';
import type { FollowUp } from '../presence/follow-up.ts';
import type { Stores } from '../stores.ts';

/** Longer than any replica that may still take over lags behind, and than most outages last. */
const LOOK_BACK_MS = 10 * 60_000;

/**
 * Makes the choices of those who chose lately to appear inactive once more, where a Redis that came back does not have
 * them: it may be a replica that had not heard of everything, and they would be shown. PostgreSQL has every such choice
 * before it is answered.
 */
export class Choices {
  readonly #stores: Stores;
  readonly #log: Logger;
  #due = true;

  constructor(stores: Stores, log: Logger) {
    this.#stores = stores;
    this.#log = log;
    stores.pulse.onBack(() => {
      this.#due = true;
    });
  }

  /** Looks where that is due; where a store is away it stays due. */
  async pass(): Promise<void> {
    if (!this.#due) return;
    this.#due = false;
    try {
      const { losses, records, db, queues, outbox } = this.#stores;
      const { now } = await losses.noteReturn();
      // A logout ends a choice in Redis first: until that is recorded, PostgreSQL holds what is over.
      if (!(await outbox.allRecorded())) {
        this.#due = true;
        return;
      }
      const userIds = await recentlyHidden(db, now - LOOK_BACK_MS);
      const unheard = new Set(await records.withoutRecord(userIds));
      for (const userId of userIds) {
        if (!unheard.has(userId)) await queues.enqueue(...(await this.#hideAgain(userId)));
      }
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  async #hideAgain(userId: string): Promise<FollowUp[]> {
    const { store, records, db } = this.#stores;
    if (await records.isHidden(userId)) return [];
    // Asked only now: the user may have ended it a moment ago, which PostgreSQL hears of first.
    const hidden = (await loadStoredUsers(db, [userId])).get(userId)?.hidden;
    if (!hidden || (hidden.remainingMs !== null && hidden.remainingMs <= 0)) return [];
    this.#log.info({ userId }, 'A choice that Redis had lost is made again');
    const again = await store.setStatus(
      userId,
      'inactive',
      { expiresInMs: hidden.remainingMs, cleared: false, claims: null },
      null,
    );
    return [again.followUp];
  }
}
