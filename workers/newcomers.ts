import { loadSeeds, NOBODY } from '../src/postgres/users.ts';
import type { Services } from '../src/stores.ts';

const AT_ONCE = 500;

/** Users who came while PostgreSQL was away: once it answers, their choice is known and they are shown or not. */
export class Newcomers {
  readonly #services: Services;
  /** Shards in which somebody waits, as the sweep found. */
  readonly #waiting = new Set<number>();

  constructor(services: Services) {
    this.#services = services;
  }

  note(shard: number, waits: boolean): void {
    if (waits) this.#waiting.add(shard);
    else this.#waiting.delete(shard);
  }

  async pass(): Promise<void> {
    const { index, store, db, queues } = this.#services;
    const shards = [...this.#waiting];
    this.#waiting.clear();
    for (const shard of shards) {
      const userIds = await index.unseeded(shard, AT_ONCE);
      const memories = await loadSeeds(db, userIds);
      const users = userIds.map((userId) => ({ userId, memory: memories.get(userId) ?? NOBODY }));
      if (users.length > 0) await queues.follow(await store.adopt(shard, users));
    }
  }
}
