import type { Config } from '../src/config/config.ts';
import { DEFAULT_WEBHOOK, receiverOf } from '../src/config/webhook-settings.ts';
import { dropErasuresFromFeed, feedState, positionChanges } from '../src/postgres/change-feed.ts';
import { allTakenUpTo } from '../src/postgres/webhooks.ts';
import type { Stores } from '../src/stores.ts';

/** How many positions are given in one go, and how often in a pass. */
const POSITIONS_AT_ONCE = 5000;
const GOES_A_PASS = 10;
/** After a change more are looked for four times a second for so long. */
const LIVELY_MS = 5000;
/** A receiver may have been set to another position, and a job for it been lost. */
const RECEIVER_EVERY_MS = 1000;
/** Time to read of an erasure for who keeps up; what names the erased user is gone from everywhere within a minute. */
export const ERASURES_STAY_MS = 30_000;

/**
 * Keeps the change feed moving: gives positions to what has arrived, has webhooks sent
 * while their receivers are behind, and lets erasures go.
 */
export class FeedKeeper {
  readonly #stores: Stores;
  /** What stands for each of them in PostgreSQL, by its name. */
  readonly #receivers: readonly { name: string; receiver: string }[];
  #livelyUntil = 0;
  #passedAt = Number.NEGATIVE_INFINITY;

  constructor(stores: Stores, { webhooks }: Pick<Config, 'webhooks'>) {
    this.#stores = stores;
    this.#receivers = webhooks.map((webhook) => ({ name: webhook.name, receiver: receiverOf(webhook) }));
  }

  /** Something has changed, so that it will arrive. */
  changesCome(): void {
    this.#livelyUntil = performance.now() + LIVELY_MS;
  }

  /** Whether a pass may have something to do. */
  get isDue(): boolean {
    const now = performance.now();
    return now < this.#livelyUntil || (this.#receivers.length > 0 && now - this.#passedAt >= RECEIVER_EVERY_MS);
  }

  /** Has the feed forget the erasures that it has told of for long enough. */
  async dropErasures(): Promise<void> {
    await dropErasuresFromFeed(this.#stores.db, ERASURES_STAY_MS);
  }

  /** One statement for all that arrived since the last pass, however much went on; more only after an outage. */
  async #position(): Promise<number> {
    let total = 0;
    for (let go = 0; go < GOES_A_PASS; go++) {
      const given = await positionChanges(this.#stores.db, POSITIONS_AT_ONCE);
      total += given;
      if (given < POSITIONS_AT_ONCE) break;
    }
    return total;
  }

  /** One bounded pass: says how many changes got a position, and which webhooks are behind. */
  async pass(): Promise<{ positioned: number; behind: string[] }> {
    const { db, queues } = this.#stores;
    this.#passedAt = performance.now();
    const state = await feedState(db);
    const positioned = state.waiting ? await this.#position() : 0;
    if (this.#receivers.length === 0) return { positioned, behind: [] };
    const taken = await allTakenUpTo(db);
    const { feed, position } = state.now;
    const behind = this.#receivers.filter(({ receiver }) => {
      const at = taken.get(receiver);
      return positioned > 0 || at?.feed !== feed || at.position !== position;
    });
    await Promise.all(behind.map(({ name }) => queues.addDeliver(name === DEFAULT_WEBHOOK ? undefined : name)));
    return { positioned, behind: behind.map(({ name }) => name) };
  }
}
