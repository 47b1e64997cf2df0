import { isConnectionError } from '../postgres/errors.ts';
import { accesses, relationsOf } from '../postgres/social.ts';
import { loadStoredForScripts, loadStoredUsers } from '../postgres/users.ts';
import type { StoredUser } from '../presence/change.ts';
import type { Access } from '../presence/visibility.ts';
import type { Stored } from '../redis/presence-types.ts';
import type { Stores } from '../stores.ts';

const AT_ONCE = 500;

interface Waiting {
  resolve(stored: Stored): void;
  reject(error: unknown): void;
}

/**
 * Asks PostgreSQL what it remembers, many users in one statement: when a crowd returns to an empty Redis, each of them
 * has to be asked for. One statement at a time; who comes meanwhile goes with the next.
 */
export class StoredUsers {
  readonly #db: Stores['db'];
  readonly #detailOrder: Stores['detailOrder'];
  readonly #waiting = new Map<string, Waiting[]>();
  #asking = false;

  constructor({ db, detailOrder }: Pick<Stores, 'db' | 'detailOrder'>) {
    this.#db = db;
    this.#detailOrder = detailOrder;
  }

  /** The stored user, `new` where there is none, `away` where PostgreSQL cannot be asked. */
  stored(userId: string): Promise<Stored> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(userId);
      if (waiting) waiting.push({ resolve, reject });
      else this.#waiting.set(userId, [{ resolve, reject }]);
      if (!this.#asking) void this.#ask();
    });
  }

  /** What PostgreSQL has of these users, by id, as far as they are known; null where it cannot be asked. */
  load(userIds: string[]): Promise<Map<string, StoredUser> | null> {
    if (userIds.length === 0) return Promise.resolve(new Map());
    return orNull(() => loadStoredUsers(this.#db, userIds, this.#detailOrder));
  }

  /** What the viewer may see of those of these users of whom it may not see all; null where PostgreSQL cannot be asked. */
  accesses(viewerId: string, userIds: string[]): Promise<Map<string, Access> | null> {
    return userIds.length === 0 ? Promise.resolve(new Map()) : orNull(() => accesses(this.#db, viewerId, userIds));
  }

  /** What is between a user and these viewers; null where PostgreSQL cannot be asked. */
  relations(userId: string, viewerIds: string[]) {
    return orNull(() => relationsOf(this.#db, userId, viewerIds));
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    // Let those who come in the same tick join.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, AT_ONCE);
      for (const [userId] of batch) this.#waiting.delete(userId);
      try {
        const userIds = batch.map(([userId]) => userId);
        const found = await orNull(() => loadStoredForScripts(this.#db, userIds, this.#detailOrder));
        for (const [userId, waiting] of batch) {
          const stored = found === null ? 'away' : (found.get(userId) ?? 'new');
          for (const { resolve } of waiting) resolve(stored);
        }
      } catch (error) {
        for (const [, waiting] of batch) for (const { reject } of waiting) reject(error);
      }
    }
    this.#asking = false;
  }
}

/** null where PostgreSQL is away. */
async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (isConnectionError(error)) return null;
    throw error;
  }
}
