import type { Logger } from '../src/log.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { loadMemories, recentlyHidden } from '../src/postgres/users.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import { isRedisAway } from '../src/redis/connect.ts';
import type { Services } from '../src/services.ts';

/** Longer than any replica that may still take over lags behind, and than most outages last. */
const LOOK_BACK_MS = 10 * 60_000;
const ASK_AGAIN_EVERY_MS = 1000;

/**
 * A Redis that comes back may be a replica that had not heard of everything: who chose to appear inactive just before would
 * be shown. PostgreSQL has every such choice before it is answered, so the recent ones are made once more where Redis does not
 * have them.
 */
export class Choices {
  readonly #services: Services;
  readonly #log: Logger;
  #due = true;
  #asked = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(services: Services, log: Logger) {
    this.#services = services;
    this.#log = log;
    services.pulse.onBack(() => {
      this.#due = true;
    });
  }

  /** Looks where it is due, and does not keep the sweep waiting; tried again later while a store is away. */
  tick(): void {
    if (!this.#due || performance.now() - this.#asked < ASK_AGAIN_EVERY_MS) return;
    this.#looking ??= this.#reassert()
      .catch((error) => {
        if (!isConnectionError(error) && !isRedisAway(error))
          this.#log.error({ err: error }, 'Choices were not checked');
      })
      .finally(() => {
        this.#looking = null;
      });
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  async #reassert(): Promise<void> {
    this.#asked = performance.now();
    this.#due = false;
    try {
      const { index, db, queues, outbox } = this.#services;
      const { now } = await index.noteReturn();
      // A logout ends a choice in Redis first: until that is recorded, PostgreSQL holds what is over.
      if (!(await outbox.allRecorded())) {
        this.#due = true;
        return;
      }
      const userIds = await recentlyHidden(db, now - LOOK_BACK_MS);
      const unheard = new Set(await index.withoutRecord(userIds));
      for (const userId of userIds) {
        if (!unheard.has(userId)) await queues.follow(...(await this.#hideAgain(userId)));
      }
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  async #hideAgain(userId: string): Promise<FollowUp[]> {
    const { store, db } = this.#services;
    if (await store.isHidden(userId)) return [];
    // Asked only now: the user may have ended it a moment ago, which PostgreSQL hears of first.
    const hidden = (await loadMemories(db, [userId])).get(userId)?.hidden;
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
