import type { Logger } from '../log.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import { isRedisAway } from '../redis/absence.ts';
import { shardOf } from '../redis/keys.ts';
import type { Stores } from '../stores.ts';

/** What a failover or a restart may lose is younger; nobody's sockets are closed for what is older. */
const KEPT_MS = 60_000;
/** Of more only these many are kept; up to twice as many while they gather. */
const MAX_KEPT = 10_000;

interface Logout {
  userId: string;
  /** null: everywhere. */
  sessionId: string | null;
  /** The connections that it ended, with blanks between. */
  conns: string;
}

/**
 * The logouts that this process answered a moment ago. Redis may lose one with whatever else it loses when it fails over
 * or comes back empty, and the web that holds the socket would keep it, and its user active, for good: so they are said
 * again whenever Redis was out of reach.
 */
export class Logouts {
  readonly #stores: Stores;
  readonly #followUps: FollowUps;
  readonly #log: Logger;
  /** Oldest first; `at` by this process's own clock. */
  #kept: (Logout & { at: number })[] = [];

  constructor(stores: Stores, followUps: FollowUps, log: Logger) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#log = log;
    stores.pulse.onBack((shards) => void this.#sayAgain(shards));
    stores.pulse.onLost((shards) => void this.#sayAgain(shards));
  }

  /** Keeps a logout that was just answered, to be said again for a while. */
  note(logout: Logout): void {
    const at = performance.now();
    const first = this.#kept[0];
    // Not at every one: most of the time there is nothing to drop.
    if (this.#kept.length >= 2 * MAX_KEPT || (first && at - first.at > 2 * KEPT_MS))
      this.#kept = this.#recent().slice(-MAX_KEPT);
    this.#kept.push({ ...logout, at });
  }

  #recent() {
    const since = performance.now() - KEPT_MS;
    return this.#kept.filter(({ at }) => at > since);
  }

  async #sayAgain(shards: readonly number[]): Promise<void> {
    for (const { userId, sessionId, conns, at } of this.#recent()) {
      if (!shards.includes(shardOf(userId))) continue;
      try {
        const age = performance.now() - at;
        const { followUp } = await this.#stores.store.logOutAgain(userId, sessionId, age, conns);
        this.#followUps.add(followUp);
      } catch (error) {
        // All of them are said again when Redis is back.
        if (isRedisAway(error)) return;
        this.#log.error({ err: error, userId }, 'A logout could not be said again');
      }
    }
  }
}
