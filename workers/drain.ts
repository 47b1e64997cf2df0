import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { gatherMs } from '../src/redis/crowds.ts';
import { type Group, SHARDS } from '../src/redis/keys.ts';
import { type Outbox, RENEW_MS, type TakenEntries } from '../src/redis/outbox.ts';
import type { UnknownEntry } from '../src/redis/outbox-reading.ts';

const AT_ONCE = 1000;
const LEAST_AT_ONCE = 100;
const KEEP_LEASE_EVERY_MS = 300;
/** So soon after the last that had something, a drain expects more and stays. */
const BUSY_FACTOR = 3;
/** Where wake-ups come late, a drain expects more for as long as the last one took, but no longer than this. */
const LATEST_MS = 1000;

/** What is done with what the shards had, at once. */
export type Effect = (taken: ReadonlyMap<number, TakenEntries>) => Promise<void>;

export interface Drained {
  /** How many entries were taken and acknowledged. */
  entries: number;
  /** The shards that have no more. */
  drained: number[];
}

export interface DrainOptions {
  /** How long what comes is gathered where there was something just before (ms). */
  everyMs: number;
  /** How long a drain stays at most (ms): then another process may have its turn, and what is done behind a drain is done. */
  longestStayMs: number;
  /** On which node a shard is. */
  slotGroupOf(shard: number): number;
  /** Redis's time (ms) where a shard is, 0 where it is not known. */
  now(shard: number): number;
}

interface Node {
  /** What the drain that stays there is to look at as well. */
  joining: Set<number> | null;
  /** When one had something last. */
  busyAt: number;
  /** How long what was to be drained had waited for the last wake-ups (ms). */
  lateMs: number;
  readonly shards: readonly number[];
}

/** A drain that stays, until then at most, for as long as there is something again and again. */
interface Stay {
  joining: Set<number>;
  until: number;
}

/**
 * Drains the outboxes of shards for one group. A wake-up job costs more than what it drains: so where one follows the other, a
 * drain stays for a while, looks again every few milliseconds, and meanwhile no script asks for a wake-up.
 */
export class Drains {
  readonly #outbox: Outbox;
  readonly #group: Group;
  readonly #everyMs: number;
  readonly #longestStayMs: number;
  readonly #nodeOf: (shard: number) => number;
  readonly #now: (shard: number) => number;
  #stopped = false;
  readonly #nodes = new Map<number, Node>();

  constructor(outbox: Outbox, group: Group, { everyMs, longestStayMs, slotGroupOf, now }: DrainOptions) {
    this.#outbox = outbox;
    this.#group = group;
    this.#everyMs = everyMs;
    this.#longestStayMs = longestStayMs;
    this.#nodeOf = slotGroupOf;
    this.#now = now;
  }

  /** Has every drain that stays let go: its process stops. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Drains some shards of one node: effect first, acknowledgement after. A drain that dies leaves its entries pending, and the
   * next one begins with them. Where a drain of another process is at work on a shard there is nothing to do: that one looks
   * again after its last entry, in the same step in which it lets go of the shard. One of this process that stays takes the shards
   * over, and what it does is told by its own result. Rejects with what `effect` or Redis rejects with; the sweep begins anew. Where a
   * shard has something for workers of a later version alone it rejects with UnknownEntry, behind all else.
   */
  async drain(shards: readonly number[] | undefined, effect: Effect): Promise<Drained> {
    // A wake-up whose data its store has lost names no shards. The sweep wakes every shard that has something.
    const [first] = shards ?? [];
    if (!shards || first === undefined) return { entries: 0, drained: [] };
    const node = this.#nodeAt(first);
    if (node.joining) {
      for (const shard of shards) node.joining.add(shard);
      return { entries: 0, drained: [] };
    }
    const begunAt = performance.now();
    const isStaying = begunAt - node.busyAt < this.#expectsMoreMs(node);
    if (this.#stopped || !isStaying) return this.#drain(node, shards, effect, null);
    const stay: Stay = { joining: new Set(), until: begunAt + this.#longestStayMs };
    node.joining = stay.joining;
    try {
      return await this.#drain(node, shards, effect, stay);
    } finally {
      if (node.joining === stay.joining) node.joining = null;
    }
  }

  #nodeAt(shard: number): Node {
    const key = this.#nodeOf(shard);
    let node = this.#nodes.get(key);
    if (!node) {
      const shards = Array.from({ length: SHARDS }, (_, n) => n).filter((other) => this.#nodeOf(other) === key);
      node = { joining: null, busyAt: Number.NEGATIVE_INFINITY, lateMs: 0, shards };
      this.#nodes.set(key, node);
    }
    return node;
  }

  /** How soon after the last that had something a drain expects more. */
  #expectsMoreMs({ lateMs }: Node): number {
    return Math.max(BUSY_FACTOR * this.#everyMs, lateMs);
  }

  /**
   * Whether wake-ups take many times as long as a look, as they do on a machine that has more to do than it can: who looks anyway then looks
   * at all shards, for those with nothing to do with the others would wait for theirs.
   */
  #isLate({ lateMs }: Node): boolean {
    return lateMs > BUSY_FACTOR * this.#everyMs;
  }

  /** Notes how long what is found in some shards has waited for a wake-up. One that came in time after some that were late may be an exception. */
  #noteLate(node: Node, taken: ReadonlyMap<number, TakenEntries>, woken: ReadonlySet<number>): void {
    const firsts = [...taken].flatMap(([shard, { entries }]) => (woken.has(shard) ? (entries[0]?.id ?? []) : []));
    const now = this.#now(node.shards[0] ?? 0);
    if (firsts.length === 0 || now === 0) return;
    const waitedMs = now - Math.min(...firsts.map((id) => Number.parseInt(id, 10)));
    node.lateMs = Math.min(LATEST_MS, Math.max(waitedMs, node.lateMs / 2));
  }

  async #drain(node: Node, shards: readonly number[], effect: Effect, staying: Stay | null): Promise<Drained> {
    let stay = staying;
    const token = randomUUID();
    const drained: number[] = [];
    let entries = 0;
    let unknown: UnknownEntry | null = null;
    let open = new Map(shards.map((shard): [number, string[]] => [shard, []]));
    let takenAt = performance.now();
    let lookedAt = takenAt;
    let woken = new Set(shards);
    let renewedAt = Number.NEGATIVE_INFINITY;
    const later = new Set<number>();
    // The same to its end, for from it the script knows whether something that was handed out may be left.
    const count = Math.max(LEAST_AT_ONCE, Math.ceil(AT_ONCE / (stay ? node.shards.length : open.size)));
    for (;;) {
      for (const shard of stay?.joining ?? []) {
        if (open.has(shard)) continue;
        // Somebody asks for it: workers of a later version may have done meanwhile what it was left for.
        later.delete(shard);
        open.set(shard, []);
        woken.add(shard);
      }
      stay?.joining.clear();
      if (open.size === 0) {
        if (stay && node.joining === stay.joining) node.joining = null;
        if (unknown) throw unknown;
        return { entries, drained };
      }
      const begunAt = performance.now();
      const stays =
        stay !== null && !this.#stopped && begunAt < stay.until && begunAt - takenAt < this.#expectsMoreMs(node);
      // From the last look on nobody can join: who comes then has a drain of their own.
      if (stay && !stays) {
        if (node.joining === stay.joining) node.joining = null;
        stay = null;
      }
      if (stays && this.#isLate(node)) {
        // Of what is left to workers of a later version nobody is to say that it is being looked at.
        for (const shard of node.shards) if (!open.has(shard) && !later.has(shard)) open.set(shard, []);
      }
      const taken = new Map<number, TakenEntries>();
      const next = new Map<number, string[]>();
      const renews = !stays || begunAt - renewedAt >= RENEW_MS;
      if (renews) renewedAt = begunAt;
      for (const [shard, step] of await this.#outbox.take(this.#group, open, { token, count, stays, renews })) {
        if (step.state === 'entries') taken.set(shard, step);
        else if (step.state === 'empty') drained.push(shard);
        else if (step.state === 'unknown') {
          unknown = step.error;
          later.add(shard);
          await this.#outbox.giveBack(this.#group, shard, token, { asksAnew: stays });
        }
        if (step.state === 'entries')
          next.set(
            shard,
            step.entries.map((entry) => entry.id),
          );
        else if (step.state === 'kept') next.set(shard, []);
      }
      open = next;
      if (taken.size > 0) {
        this.#noteLate(node, taken, woken);
        await this.#withLeases(token, taken, open.keys(), effect);
        takenAt = performance.now();
        node.busyAt = takenAt;
        for (const step of taken.values()) entries += step.entries.length;
      }
      woken = new Set();
      const isFull = [...taken.values()].some((step) => step.entries.length >= count);
      if (stays && !isFull) {
        const found = [...taken.values()].reduce((sum, step) => sum + step.entries.length, 0);
        const everyMs = gatherMs(found, begunAt - lookedAt, this.#everyMs);
        await delay(Math.max(0, begunAt + everyMs - performance.now()));
      }
      lookedAt = begunAt;
    }
  }

  /** Keeps what was taken while it is done. Where that fails, all that is `held` is free for whoever is woken next. */
  async #withLeases(
    token: string,
    taken: ReadonlyMap<number, TakenEntries>,
    held: Iterable<number>,
    effect: Effect,
  ): Promise<void> {
    const [outbox, group] = [this.#outbox, this.#group];
    const keeping = setInterval(() => {
      for (const shard of taken.keys()) outbox.keepLease(group, shard, token).catch(() => {});
    }, KEEP_LEASE_EVERY_MS);
    try {
      await effect(taken);
    } catch (error) {
      const asksAnew = { asksAnew: true };
      await Promise.all([...held].map((shard) => outbox.giveBack(group, shard, token, asksAnew).catch(() => {})));
      throw error;
    } finally {
      clearInterval(keeping);
    }
  }
}
