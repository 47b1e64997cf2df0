import type { RedisClient } from './connect.ts';
import { compareIds } from './delivery.ts';
import { type Group, type Keys, SHARDS } from './keys.ts';
import type { OutboxEntry } from './outbox-entry.ts';
import { parseEntry, UnknownEntry } from './outbox-reading.ts';
import { type Reply, runScript } from './scripts.ts';

/**
 * `gone`: of the users in these entries those who were erased before, and until when (ms of Redis's clock) nothing that was made
 * of them is to be recorded.
 */
export interface TakenEntries {
  state: 'entries';
  entries: OutboxEntry[];
  gone: ReadonlyMap<string, number>;
}

/** `kept`: there is nothing at present, and the drain stays; `unknown`: an entry is of a later version, and all of them are left. */
export type Taken = { state: 'busy' | 'empty' | 'kept' } | { state: 'unknown'; error: UnknownEntry } | TakenEntries;

/** Added to a wake-up that was lost with its worker, it has to stay below the two seconds that a dead worker may cost. */
const LEASE_MS = 1000;
/** Who stays renews its leases, and that nobody asks for a wake-up, so often: far below what both last for. */
export const RENEW_MS = 100;

function takenOf([state, raw, erased]: Reply[]): Taken {
  if (state !== 'entries') return { state: state as 'busy' | 'empty' | 'kept' };
  const gone = new Map<string, number>();
  const flat = (erased as Reply[]).map(String);
  for (let n = 0; n + 1 < flat.length; n += 2) gone.set(flat[n] ?? '', Number(flat[n + 1]));
  try {
    return { state, entries: (JSON.parse(String(raw)) as Reply[]).flatMap((entry) => parseEntry(entry) ?? []), gone };
  } catch (error) {
    if (error instanceof UnknownEntry) return { state: 'unknown', error };
    throw error;
  }
}

/** Draining one shard's outbox for one group: one drain at a time, in order, acknowledged after the effect. */
export class Outbox {
  readonly #redis: RedisClient;
  readonly #keys: Keys;

  constructor(redis: RedisClient, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /**
   * Takes from shards on one node: acknowledges what is `done` of each, and reads up to `count` more. `busy`: another drain holds
   * the shard; `empty`: all is done and the lease is given back, or `kept` by who `stays`, until whose next look no script asks
   * for a wake-up. What an earlier drain left unacknowledged comes first. `renews`: false where who stays has renewed what it holds less
   * than RENEW_MS ago.
   */
  async take(
    group: Group,
    done: ReadonlyMap<number, readonly string[]>,
    { token, count, stays = false, renews = true }: { token: string; count: number; stays?: boolean; renews?: boolean },
  ): Promise<Map<number, Taken>> {
    const keys = this.#keys;
    const shards = [...done.keys()];
    const reply = await runScript(
      this.#redis,
      'take-changes',
      shards.flatMap((shard) => [
        keys.outbox(shard),
        keys.lease(group, shard),
        keys.wake(group, shard),
        keys.gone(shard),
      ]),
      [
        group,
        token,
        LEASE_MS,
        count,
        stays ? 1 : 0,
        stays && !renews ? 0 : 1,
        ...[...done.values()].flatMap((ids) => [ids.length, ...ids]),
      ],
    );
    return new Map(shards.map((shard, n) => [shard, takenOf(reply[n] as Reply[])]));
  }

  /** Keeps the lease during a long effect; false: somebody else has taken over. */
  async keepLease(group: Group, shard: number, token: string): Promise<boolean> {
    const reply = await runScript(this.#redis, 'lease', [this.#keys.lease(group, shard)], [token, LEASE_MS]);
    return reply[0] === 1;
  }

  /**
   * Gives the lease back early, so that the next wake-up need not wait for its end; `asksAnew`: and whoever changes something asks for one,
   * though a drain that meant to stay said that it would look.
   */
  async giveBack(group: Group, shard: number, token: string, { asksAnew }: { asksAnew: boolean }): Promise<void> {
    const goes = asksAnew ? [this.#keys.wake(group, shard)] : [];
    await runScript(this.#redis, 'lease', [this.#keys.lease(group, shard), ...goes], [token, 0]);
  }

  /** Whether an entry of a shard's outbox, and all before it, are recorded. */
  async isRecorded(shard: number, id: string): Promise<boolean> {
    const [read, oldest] = await runScript(this.#redis, 'delivered', [this.#keys.outbox(shard)], ['record']);
    return compareIds(String(read), id) >= 0 && (!oldest || compareIds(String(oldest), id) > 0);
  }

  /** Whether every change that was ever made is recorded. */
  async allRecorded(): Promise<boolean> {
    const waiting = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        runScript(this.#redis, 'backlog', [this.#keys.outbox(shard), this.#keys.unrecorded(shard)], ['record']),
      ),
    );
    return waiting.every((reply) => reply[0] === 0);
  }

  /** What each group has still to do, over all shards: how many entries, and the age of the oldest (ms). */
  async waiting(): Promise<{ group: Group; entries: number; oldestMs: number }[]> {
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => runScript(this.#redis, 'waiting', [this.#keys.outbox(shard)], [])),
    );
    return (['deliver', 'record'] as const).map((group, n) => ({
      group,
      entries: shards.reduce((sum, reply) => sum + Number(reply[2 * n]), 0),
      oldestMs: Math.max(...shards.map((reply) => Number(reply[2 * n + 1]))),
    }));
  }

  /**
   * Some users of a shard, `count` at most, whose changes were dropped by the cap; their last seen has to be written
   * from the cache.
   */
  async unrecorded(shard: number, count: number): Promise<string[]> {
    return this.#redis.srandmember(this.#keys.unrecorded(shard), count);
  }

  /** Notes that the last seen of users whose changes were dropped has been written. */
  async markRecorded(shard: number, userIds: string[]): Promise<void> {
    if (userIds.length > 0) await this.#redis.srem(this.#keys.unrecorded(shard), ...userIds);
  }
}
