import { isConnectionError } from '../postgres/errors.ts';
import { loadMemories } from '../postgres/users.ts';
import type { Memory } from '../presence/change.ts';
import type { Seed } from '../redis/presence-types.ts';
import type { Services } from '../services.ts';

const AT_ONCE = 500;

interface Waiting {
  resolve(seed: Seed): void;
  reject(error: unknown): void;
}

/**
 * Asks PostgreSQL what it remembers, many users in one statement: when a crowd returns to an empty Redis, each of them
 * has to be asked for. One statement at a time; who comes meanwhile goes with the next.
 */
export class Memories {
  readonly #db: Services['db'];
  readonly #waiting = new Map<string, Waiting[]>();
  #asking = false;

  constructor(db: Services['db']) {
    this.#db = db;
  }

  /** The user's memory, `new` where there is none, `away` where PostgreSQL cannot be asked. */
  seed(userId: string): Promise<Seed> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(userId);
      if (waiting) waiting.push({ resolve, reject });
      else this.#waiting.set(userId, [{ resolve, reject }]);
      if (!this.#asking) void this.#ask();
    });
  }

  /** Those of these users that are known; null where PostgreSQL cannot be asked. */
  async load(userIds: string[], privacyWanted?: (userId: string) => boolean): Promise<Map<string, Memory> | null> {
    if (userIds.length === 0) return new Map();
    try {
      return await loadMemories(this.#db, userIds, privacyWanted);
    } catch (error) {
      if (isConnectionError(error)) return null;
      throw error;
    }
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    // Let those who come in the same tick join.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, AT_ONCE);
      for (const [userId] of batch) this.#waiting.delete(userId);
      try {
        const memories = await this.load(batch.map(([userId]) => userId));
        for (const [userId, waiting] of batch) {
          const seed = memories === null ? 'away' : (memories.get(userId) ?? 'new');
          for (const { resolve } of waiting) resolve(seed);
        }
      } catch (error) {
        for (const [, waiting] of batch) for (const { reject } of waiting) reject(error);
      }
    }
    this.#asking = false;
  }
}
