import { loadStoredForScripts, NOTHING_STORED } from '../src/postgres/users.ts';
import type { Stores } from '../src/stores.ts';

const AT_ONCE = 500;

/**
 * Makes users known who came while PostgreSQL was away: once it answers, their choice is known and they are shown or
 * not.
 */
export class UnknownChoices {
  readonly #stores: Stores;
  /** Shards in which somebody waits, as the sweep found. */
  readonly #waiting = new Set<number>();

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** Notes what the sweep found: whether somebody waits in a shard. */
  note(shard: number, waits: boolean): void {
    if (waits) this.#waiting.add(shard);
    else this.#waiting.delete(shard);
  }

  /** Asks PostgreSQL about those who wait, as the sweep found. Rejects where a store is away; the sweep finds them again. */
  async pass(): Promise<void> {
    const { leftovers, store, db, queues, detailOrder } = this.#stores;
    const shards = [...this.#waiting];
    this.#waiting.clear();
    for (const shard of shards) {
      const userIds = await leftovers.choiceUnknown(shard, AT_ONCE);
      const storedUsers = await loadStoredForScripts(db, userIds, detailOrder);
      const users = userIds.map((userId) => ({ userId, stored: storedUsers.get(userId) ?? NOTHING_STORED }));
      if (users.length > 0) await queues.enqueue(await store.adopt(shard, users));
    }
  }
}
