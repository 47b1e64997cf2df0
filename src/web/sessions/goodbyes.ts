import type { Logger } from '../../log.ts';
import type { FollowUps } from '../../queues/follow-ups.ts';
import { isRedisAway } from '../../redis/absence.ts';
import type { Stores } from '../../stores.ts';
import type { Connection } from './connection.ts';

const AT_ONCE = 100;
const RETRY_MS = 250;
/** Goodbyes that wait for Redis to come back; beyond it sessions end by their deadline. */
const MAX_WAITING = 100_000;

interface Goodbye {
  connection: Connection;
  at: number;
  graceMs: number;
}

/** Goodbyes to what is on one node, so that one that is away holds up no others. */
interface Queue {
  waiting: Goodbye[];
  /** How many are being said. */
  inHand: number;
  readonly saying: Set<Promise<void>>;
  retry: NodeJS.Timeout | undefined;
}

/** Tells Redis of connections that ended, each with its age; what Redis cannot hear now it hears when it is back. */
export class Goodbyes {
  readonly #stores: Stores;
  readonly #followUps: FollowUps;
  readonly #log: Logger;
  readonly #queues: Queue[];
  #stopped = false;

  constructor(stores: Stores, followUps: FollowUps, log: Logger) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#log = log;
    this.#queues = stores.keys.slotGroups.map(() => ({ waiting: [], inHand: 0, saying: new Set(), retry: undefined }));
  }

  /** Takes a connection that has just ended. `graceMs`: how long its session waits for another. */
  add(connection: Connection, graceMs: number): void {
    const queue = this.#queues[this.#stores.keys.slotGroupOf(connection.shard)];
    if (!queue || this.#queues.reduce((sum, { waiting }) => sum + waiting.length, 0) >= MAX_WAITING) return;
    queue.waiting.push({ connection, at: performance.now(), graceMs });
    this.#begin(queue);
  }

  /** Tries all again now, for Redis is back. */
  say(): void {
    for (const queue of this.#queues) this.#begin(queue);
  }

  /** Resolves once all has been tried. */
  async settled(): Promise<void> {
    await Promise.all(this.#queues.flatMap(({ saying }) => [...saying]));
  }

  /** Resolves once all has been tried; from then on nothing is tried again: what was not said ends by its deadline. */
  async stop(): Promise<void> {
    const settled = this.settled();
    this.#stopped = true;
    for (const queue of this.#queues) clearTimeout(queue.retry);
    await settled;
  }

  #begin(queue: Queue): void {
    if (this.#stopped || queue.inHand >= AT_ONCE) return;
    const saying = this.#sayAll(queue).finally(() => queue.saying.delete(saying));
    queue.saying.add(saying);
  }

  async #sayAll(queue: Queue): Promise<void> {
    // Nobody waits for those before: they are asked for together. Where there are too many for that, whoever is done takes the next.
    while (queue.waiting.length > 0 && queue.inHand < AT_ONCE) {
      const batch = queue.waiting.splice(0, AT_ONCE - queue.inHand);
      queue.inHand += batch.length;
      const failed = await Promise.all(batch.map((goodbye) => this.#say(goodbye)));
      queue.inHand -= batch.length;
      const again = batch.filter((_, n) => failed[n]);
      if (again.length > 0) {
        queue.waiting.unshift(...again);
        clearTimeout(queue.retry);
        if (this.#stopped) return;
        queue.retry = setTimeout(() => this.#begin(queue), RETRY_MS);
        return;
      }
    }
  }

  /** True where it has to be said again. */
  async #say({ connection, at, graceMs }: Goodbye): Promise<boolean> {
    const age = performance.now() - at;
    // Long overdue by then: the deadline has spoken.
    if (age > 2 * connection.times.ttlMs + 60_000) return false;
    try {
      await this.#stores.tracing.event('disconnect', async () => {
        // A room that it left just before is not one that it is in through its grace.
        if (connection.rooms) this.#stores.userRooms.send(connection.shard);
        const { followUp } = await this.#stores.store.close(connection, age, graceMs);
        this.#followUps.add(followUp);
      });
      return false;
    } catch (error) {
      if (isRedisAway(error)) return true;
      this.#log.error({ err: error, userId: connection.userId }, 'A session could not be closed');
      return false;
    }
  }
}
