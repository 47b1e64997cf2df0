import type { Config } from '../src/config/config.ts';
import type { FollowUps } from '../src/queues/follow-ups.ts';
import { SHARDS } from '../src/redis/keys.ts';
import type { Stores } from '../src/stores.ts';

const PAGE = 500;
/** Whose clocks differ by less is seen to in time anyhow. */
const MARGIN_MS = 1000;

/**
 * Looks at all who are to be looked at later than a TTL from now, whenever Redis is there anew or its clock was set.
 * Whoever has a session is looked at within a TTL; where the clock was set back, or a server has taken over whose clock
 * is behind, those of whom no web speaks again would be looked at later by as much. Of most there is nothing but a
 * choice that ends some day. With a TTL of its own a session may be due late, or too late though it is soon: those who have one are
 * noted apart, and looked at in any case.
 */
export class ClockSteps {
  readonly #stores: Stores;
  readonly #followUps: FollowUps;
  readonly #latestMs: number;
  #due = false;

  constructor(stores: Stores, { ttlMs }: Pick<Config, 'ttlMs'>, followUps: FollowUps) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#latestMs = ttlMs + MARGIN_MS;
    stores.pulse.onBack(() => {
      this.#due = true;
    });
  }

  /** Looks where that is due; returns at how many. */
  async pass(): Promise<number> {
    if (!this.#due) return 0;
    this.#due = false;
    try {
      let users = 0;
      for (let shard = 0; shard < SHARDS; shard++) users += await this.#look(shard);
      return users;
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  async #look(shard: number): Promise<number> {
    const { deadlines } = this.#stores;
    const late = await this.#lookAt(shard, (cursor) => deadlines.pageDueAfter(shard, this.#latestMs, cursor, PAGE));
    return late + (await this.#lookAt(shard, (cursor) => deadlines.pageApart(shard, cursor, PAGE)));
  }

  async #lookAt(shard: number, next: (cursor: string) => Promise<{ cursor: string; userIds: string[] }>) {
    let users = 0;
    let cursor = '0';
    do {
      const page = await next(cursor);
      cursor = page.cursor;
      if (page.userIds.length === 0) continue;
      users += page.userIds.length;
      const asked = page.userIds.map((userId) => ({ userId, number: '' }));
      this.#followUps.add((await this.#stores.store.expire(shard, asked)).followUp);
    } while (cursor !== '0');
    return users;
  }
}
