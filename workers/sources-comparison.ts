import { detailSourcesOf } from '../src/postgres/detail-sources.ts';
import { SHARDS } from '../src/redis/keys.ts';
import type { Stores } from '../src/stores.ts';
import { Backoff } from './backoff.ts';

const PAGE = 500;
const START = { shard: 0, cursor: '0' };

/**
 * Compares what Redis shows of users beside the status with what PostgreSQL has of their sources, in the order of now, and tells what
 * differs: once a worker has started, for DETAIL_ORDER may have become another, and after every return of Redis, which may have come
 * back with older. Whoever is here or has something that ends is looked at, page by page; the records of all others go soon.
 */
export class SourcesComparer {
  readonly #stores: Stores;
  readonly #backoff = new Backoff();
  /** The next page; null: all were compared. */
  #place: typeof START | null = START;

  constructor(stores: Stores) {
    this.#stores = stores;
    stores.pulse.onBack(() => {
      this.#place = START;
      this.#backoff.reset();
    });
  }

  /** Compares where that is due; what failed is gone on with, at first after a second and then ever more seldom. */
  async pass(): Promise<void> {
    if (this.#backoff.isWaiting) return;
    while (this.#place !== null) {
      const place = this.#place;
      const next = await this.#comparePage(place).catch((error) => {
        this.#backoff.failed();
        throw error;
      });
      // Redis was away meanwhile: from the beginning.
      if (this.#place === place) this.#place = next;
    }
    this.#backoff.reset();
  }

  async #comparePage({ shard, cursor }: typeof START): Promise<typeof START | null> {
    const { deadlines, store, queues } = this.#stores;
    const page = await deadlines.page(shard, cursor, PAGE);
    for (const { userId, ...sources } of await this.#differing(page.userIds)) {
      // Of who has no record any more there is nothing to tell: with the next one all of it is read.
      await queues.enqueue((await store.setDetail(userId, sources, null)).followUp);
    }
    if (page.cursor !== '0') return { shard, cursor: page.cursor };
    return shard + 1 < SHARDS ? { shard: shard + 1, cursor: '0' } : null;
  }

  async #differing(userIds: string[]) {
    if (userIds.length === 0) return [];
    const { records, db, detailOrder } = this.#stores;
    // In this order: what is said meanwhile is newer than both.
    const stored = await detailSourcesOf(db, userIds, detailOrder);
    const shown = await records.sources(userIds);
    const nameOf = ({ source }: { source: string }) => source;
    return userIds.flatMap((userId, n) => {
      const [there, here] = [stored.get(userId), shown[n]];
      if (!there || !here || here.revision > there.revision) return [];
      const isSame =
        here.revision === there.revision && here.sources.map(nameOf).join(' ') === there.sources.map(nameOf).join(' ');
      return isSame ? [] : [{ userId, ...there }];
    });
  }
}
