import type { Change } from '../presence/change.ts';
import type { TraceContext } from '../telemetry/tracing.ts';
import { disconnected, type RedisClient } from './connect.ts';
import type { IndicatorKind } from './indicators.ts';
import { type Keys, SHARDS } from './keys.ts';
import type { RoomHappening } from './room-types.ts';
import { type Reply, runScript } from './scripts.ts';
import { timeOf } from './time.ts';

/** What a drain hands to all web processes: changes and closings of one shard, up to an outbox position. */
export interface DeliveryBatch {
  shard: number;
  items: DeliveryItem[];
}

export type DeliveryItem = { id: string; trace?: TraceContext } & (
  | { kind: 'change'; change: Change }
  | { kind: 'close'; conns: string[]; reason: 'replaced' | 'logout' }
  | { kind: 'indicator'; conversationId: string; userId: string; doing: IndicatorKind; active: boolean }
  | { kind: 'expelled'; conversationId: string; userId: string }
  | { kind: 'alert'; askerId: string; userId: string; at: number }
  | ({ kind: 'room' } & RoomHappening)
  | { kind: 'put_out'; roomId: string; userId: string; conns: string[]; at: number }
);

/** Batches kept for webs that lag behind; who falls further back takes a snapshot instead. */
const KEPT_BATCHES = 10_000;
/** Nothing of a user who was erased stays here for longer. */
const KEPT_MS = 30_000;
const BLOCK_MS = 2000;
const READ_AT_ONCE = 100;

/** Compares two stream ids (`ms-sequence`); negative where `a` is older. */
export function compareIds(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs - bMs || aSeq - bSeq;
}

/** Up to where the delivery stream has been handed on: the number of a batch and its place. */
export interface DeliveryPlace {
  count: number;
  id: string;
}

/** Of whom more changed than in so many batches whoever comes back is better told everything. */
const MOST_MISSED_BATCHES = 1000;

/**
 * The ids of whom the stream says something behind a place; null: it does not know any more, or it is too much. Rejects where
 * Redis is away.
 */
export async function changedSince(redis: RedisClient, keys: Keys, place: DeliveryPlace): Promise<Set<string> | null> {
  const batches = await redis.xrange(keys.delivery, `(${place.id}`, '+', 'COUNT', MOST_MISSED_BATCHES);
  if (batches.length === MOST_MISSED_BATCHES) return null;
  let { count } = place;
  const userIds = new Set<string>();
  for (const [, fields] of batches) {
    if (Number(fields[1]) !== ++count) return null;
    for (const item of (JSON.parse(fields[3] ?? '{}') as DeliveryBatch).items) {
      if (item.kind === 'change') userIds.add(item.change.userId);
    }
  }
  // What has been trimmed is missing at the end too, where nothing is left.
  const last = Number((await redis.get(keys.deliveryCount)) ?? 0);
  return batches.length === 0 && last !== count ? null : userIds;
}

/** Appends batches, in this order, to the stream that every web reads. Rejects where Redis is away. */
export async function publish(redis: RedisClient, keys: Keys, ...batches: DeliveryBatch[]): Promise<void> {
  await runScript(
    redis,
    'publish',
    [keys.delivery, keys.deliveryCount],
    [KEPT_BATCHES, KEPT_MS, ...batches.map((batch) => JSON.stringify(batch))],
  );
}

/** Drops from the delivery stream what is older than webs may lag behind. */
export async function trimDelivery(redis: RedisClient, keys: Keys): Promise<void> {
  await redis.xtrim(keys.delivery, 'MINID', (await timeOf(redis, keys.delivery)) - KEPT_MS);
}

export interface DeliveryListener {
  /** Finds out what `onBatch` has to know; nothing is handed on before. Rejects where that cannot be had now. */
  prepare(batch: DeliveryBatch): Promise<void>;
  onBatch(batch: DeliveryBatch): void;
  /** Something was missed; what is watched has to be read anew. */
  onGap(): void;
}

/**
 * One web process's own reading of the delivery stream, from an explicit position onwards. Entries of a shard are
 * handed on once and in the order of its outbox: what a drain repeats after a crash is dropped here.
 */
export class DeliveryReader {
  readonly #blocking: RedisClient;
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #listener: DeliveryListener;
  #position = '0-0';
  #count = 0;
  #told: DeliveryPlace = { count: 0, id: '0-0' };
  #shards: string[] = Array.from({ length: SHARDS }, () => '0-0');
  #running: Promise<void> | null = null;
  #disconnected: Promise<void> | null = null;
  readonly #place = Promise.withResolvers<void>();
  #stopped = false;
  #resets = 0;
  /** It reads another store already, as the numbering told: what that has delivered must not be handed on again. */
  #switched = false;
  #placed = false;

  /** `blocking` is a connection of this reader's own. */
  constructor(blocking: RedisClient, redis: RedisClient, keys: Keys, listener: DeliveryListener) {
    this.#blocking = blocking;
    this.#redis = redis;
    this.#keys = keys;
    this.#listener = listener;
  }

  /** Up to which outbox entry of the shard everything has been handed on. */
  delivered(shard: number): string {
    return this.#shards[shard] ?? '0-0';
  }

  /** Up to where all has been handed on, that of the batch before while one is. */
  get told(): DeliveryPlace {
    return this.#told;
  }

  /** Whether the reader has a position: before that nobody may be let in who wants to be told of what comes after. */
  get placed(): boolean {
    return this.#placed;
  }

  /** Takes its position and reads until stopped. Resolves once placed; with Redis away that is when it is back. */
  start(): Promise<void> {
    this.#running ??= this.#run(this.#place.resolve);
    return this.#place.promise;
  }

  /** Stops reading; resolves once nothing more is handed on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disconnected ??= disconnected(this.#blocking);
    await this.#disconnected;
    await this.#running;
  }

  /**
   * Begins anew with these shards, for what they held was lost. On a single Redis the stream is lost with them; in a
   * cluster it is a key like others, perhaps of a node that lost nothing, and its numbering tells.
   */
  reset(shards: readonly number[]): void {
    if (this.#isCluster) {
      this.#resets++;
      for (const shard of shards) this.#shards[shard] = '0-0';
      return;
    }
    const switched = this.#switched;
    this.#switched = false;
    if (switched) return;
    this.#resets++;
    this.#position = '0-0';
    this.#count = 0;
    this.#told = { count: 0, id: '0-0' };
    this.#shards = this.#shards.map(() => '0-0');
  }

  get #isCluster(): boolean {
    return this.#keys.slotGroups.length > 1;
  }

  async #run(placed: () => void): Promise<void> {
    while (!this.#stopped) {
      try {
        if (this.#placed) await this.#readOnce();
        else await this.#takePosition();
        placed();
      } catch {
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    placed();
  }

  async #takePosition(): Promise<void> {
    // Asked first: of a stream that was trimmed to nothing it is all that is left to begin from.
    this.#count = Number(await this.#redis.get(this.#keys.deliveryCount));
    const [entry] = await this.#redis.xrevrange(this.#keys.delivery, '+', '-', 'COUNT', 1);
    if (entry) {
      this.#position = entry[0];
      this.#count = Number(entry[1][1]);
    }
    // Read after the position: what is delivered in between comes again and is dropped as known.
    this.#shards = await Promise.all(
      this.#shards.map(async (_, shard) => {
        const [read, oldest] = await runScript(this.#redis, 'delivered', [this.#keys.outbox(shard)], ['deliver']);
        return oldest ? idBefore(String(oldest)) : String(read);
      }),
    );
    this.#told = { count: this.#count, id: this.#position };
    this.#placed = true;
  }

  async #readOnce(): Promise<void> {
    const resets = this.#resets;
    const reply = (await this.#blocking.xread(
      'COUNT',
      READ_AT_ONCE,
      'BLOCK',
      BLOCK_MS,
      'STREAMS',
      this.#keys.delivery,
      this.#position,
    )) as Reply[] | null;
    // A reset while the read was waiting: its answer belongs to the old position.
    if (resets !== this.#resets) return;
    if (!reply) return this.#lookForGap();
    const [stream] = reply as [[string, [string, string[]][]]];
    for (const [id, fields] of stream[1]) {
      const count = Number(fields[1]);
      const missed = count !== this.#count + 1;
      // The numbering went back: another store, or a replica that had not heard of everything. Old positions mean nothing.
      if (count <= this.#count && !this.#isCluster) {
        this.#shards = this.#shards.map(() => '0-0');
        this.#switched = true;
      }
      const { shard, items: all } = JSON.parse(fields[3] ?? '{}') as DeliveryBatch;
      const known = this.delivered(shard);
      const items = all.filter((item) => compareIds(item.id, known) > 0);
      await this.#listener.prepare({ shard, items });
      if (resets !== this.#resets) return;
      this.#position = id;
      this.#count = count;
      if (missed) this.#listener.onGap();
      const last = items.at(-1);
      if (last) {
        this.#listener.onBatch({ shard, items });
        this.#shards[shard] = last.id;
      }
      this.#told = { count, id };
    }
  }

  /** Nothing new, which may be because what was new has been trimmed already: the running number tells. */
  async #lookForGap(): Promise<void> {
    const resets = this.#resets;
    const count = Number(await this.#redis.get(this.#keys.deliveryCount));
    if (count === this.#count) return;
    const [next] = await this.#redis.xrange(this.#keys.delivery, `(${this.#position}`, '+', 'COUNT', 1);
    if (next || resets !== this.#resets) return;
    if (count < this.#count && !this.#isCluster) this.#switched = true;
    this.#count = count;
    this.#listener.onGap();
  }
}

function idBefore(id: string): string {
  const [ms = 0, sequence = 0] = id.split('-').map(Number);
  return sequence > 0 ? `${ms}-${sequence - 1}` : `${ms - 1}-${Number.MAX_SAFE_INTEGER}`;
}
