import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Claims } from '../presence/change.ts';
import type { StatusPayload } from '../protocol/vocabulary.ts';
import type { Choice, PresenceApi } from './presence-api.ts';

/** So many a second of one user are done one by one; whatever else comes is done together. */
const ONE_BY_ONE = 10;
const SECOND_MS = 1000;
const TOGETHER_MS = 250;
const REMEMBERED = 20_000;

/**
 * Posting `active` is never refused, however often. What comes too often is gathered and done once, after all of those
 * that are answered by it were asked for.
 */
export class Activations {
  readonly #presence: Pick<PresenceApi, 'setStatus'>;
  readonly #lately = new LRUCache<string, { count: number; until: number }>({ max: REMEMBERED });
  readonly #gathering = new Map<string, Promise<StatusPayload>>();

  constructor(presence: Pick<PresenceApi, 'setStatus'>) {
    this.#presence = presence;
  }

  /**
   * Sets what the user chose, as `PresenceApi.setStatus` does; where a user says `active` too often, once for all who
   * said so. Rejects with UNAVAILABLE.
   */
  setStatus(userId: string, choice: Choice, claims: Claims | null): Promise<StatusPayload> {
    if (choice.status !== 'active' || !this.#isTooOften(userId))
      return this.#presence.setStatus(userId, choice, claims);
    const gathering = this.#gathering.get(userId);
    if (gathering) return gathering;
    const later = delay(TOGETHER_MS).then(() => {
      // From here on whoever comes waits for the next one: this one may be done already when they are heard.
      this.#gathering.delete(userId);
      return this.#presence.setStatus(userId, choice, claims);
    });
    this.#gathering.set(userId, later);
    return later;
  }

  #isTooOften(userId: string): boolean {
    const now = performance.now();
    const known = this.#lately.get(userId);
    if (known === undefined || known.until <= now) {
      this.#lately.set(userId, { count: 1, until: now + SECOND_MS });
      return false;
    }
    known.count++;
    return known.count > ONE_BY_ONE;
  }
}
