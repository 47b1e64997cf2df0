import type { RedisClient } from './connect.ts';
import type { Keys } from './keys.ts';
import { type Reply, runScript } from './scripts.ts';

const SWEEP_LEASE_MS = 700;
/** What the script says instead of a time where expiry is held. */
const HELD = -2;
/** What was known of an outbox is believed for so long; whoever sweeps hears of most that makes it untrue by the pulse. */
const BELIEVED_MS = 1500;

/** What a sweep found in a shard. */
export interface SweptShard {
  shard: number;
  wakeDeliver: boolean;
  wakeRecord: boolean;
  unrecorded: boolean;
  choiceUnknown: boolean;
  /** Whether somebody is shown as typing or the like, which ends by itself. */
  indicators: boolean;
  /** Whether something of rooms was put off that is to be told. */
  roomsOwed: boolean;
  overdue: string[];
}

const NOTHING: Omit<SweptShard, 'shard'> = {
  wakeDeliver: false,
  wakeRecord: false,
  unrecorded: false,
  choiceUnknown: false,
  indicators: false,
  roomsOwed: false,
  overdue: [],
};

/** What a sweep found in a slot group. */
export interface Swept {
  /** How long (ms) until somebody is overdue, as things stand; null: nobody will ever be, or expiry is held. */
  nextInMs: number | null;
  /** Whether expiry is held. */
  held: boolean;
  /** In the order in which they were asked for. */
  shards: SweptShard[];
  /** Whether something has been told of somebody since the last sweep by this process, as far as it knows. */
  moved: boolean;
}

/**
 * What is left lying where a job was lost or a store was away, for the one worker that sweeps a slot group. Errors are
 * those of ioredis where Redis is away.
 */
export class Leftovers {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  /** The names of the keys that a sweep of some shards is given. */
  readonly #names = new WeakMap<readonly number[], string[]>();
  /** By shard: up to which entry of its outbox nothing was left to do. */
  readonly #through = new Map<number, string>();
  #last = new Map<number, string>();
  #believedUntil = 0;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Lets another process sweep the slot group at once; nothing happens where the lease is not that of `token`. */
  async giveLeaseBack(group: number, token: string): Promise<void> {
    await runScript(this.#redis, 'lease', [this.#keys.sweepLease(group)], [token, 0]);
  }

  /** Has the next sweep look at everything, for what was known is of another store or another time. */
  forget(): void {
    this.#believedUntil = 0;
  }

  /**
   * Takes or keeps the lease of a slot group for this process, by its `token`, and finds what was left lying in these shards of it,
   * at most `limit` overdue users of each; null where another process has the lease.
   */
  async find(shards: readonly number[], limit: number, token: string): Promise<Swept | null> {
    if (performance.now() >= this.#believedUntil) {
      this.#through.clear();
      this.#believedUntil = performance.now() + BELIEVED_MS;
    }
    const through = shards.map((shard) => this.#through.get(shard) ?? '');
    const [next, ...replies] = await runScript(this.#redis, 'sweep', this.#namesOf(shards), [
      token,
      SWEEP_LEASE_MS,
      limit,
      ...through,
    ]);
    if (next === undefined) return null;
    let moved = false;
    const found = shards.map((shard) => ({ ...NOTHING, shard }));
    for (const reply of replies) {
      const [place, wake, unrecorded, choiceUnknown, indicators, roomsOwed, id, ...overdue] = reply as Reply[];
      const at = Number(place) - 1;
      const shard = shards[at] ?? 0;
      if (id !== '=') {
        this.#through.set(shard, String(id));
        moved ||= id === '' || id !== this.#last.get(shard);
        this.#last.set(shard, String(id));
      }
      found[at] = {
        shard,
        wakeDeliver: (Number(wake) & 1) !== 0,
        wakeRecord: (Number(wake) & 2) !== 0,
        unrecorded: unrecorded === 1,
        choiceUnknown: choiceUnknown === 1,
        indicators: indicators === 1,
        roomsOwed: roomsOwed === 1,
        overdue: overdue.map(String),
      };
    }
    const nextInMs = Number(next) < 0 ? null : Number(next);
    return { nextInMs, held: next === HELD, shards: found, moved };
  }

  #namesOf(shards: readonly number[]): string[] {
    const known = this.#names.get(shards);
    if (known) return known;
    const keys = this.#keys;
    const [first = 0] = shards;
    const names = [keys.sweepLease(keys.slotGroupOf(first)), keys.pulse(first), keys.hold(first)];
    for (const shard of shards) {
      names.push(keys.due(shard), keys.outbox(shard), keys.wake('deliver', shard), keys.wake('record', shard));
      names.push(keys.unrecorded(shard), keys.choiceUnknown(shard), keys.indicators(shard), keys.roomsOwed(shard));
    }
    this.#names.set(shards, names);
    return names;
  }

  /** Some users of a shard, `count` at most, who came while PostgreSQL could not say whether they appear inactive. */
  async choiceUnknown(shard: number, count: number): Promise<string[]> {
    return this.#redis.srandmember(this.#keys.choiceUnknown(shard), count);
  }
}
