/** A clock that is slewed, and what is not known of it exactly, makes a smaller difference (ms). */
const SET_BY_MS = 1000;

/**
 * What this process knows of Redis's clock, on the process's own monotonic clock, so that a moved wall clock does not
 * matter. It serves one purpose: a command that waited while Redis stood still is recognised as late. In a cluster every
 * shard may be on a node with a clock of its own.
 */
export class RedisClock {
  /** By shard; one for all of them on a single Redis. */
  readonly #offsets: (number | null)[];

  constructor(clocks = 1) {
    this.#offsets = Array.from({ length: clocks }, () => null);
  }

  /** Learns that `redisNow` was Redis's time (ms) at some moment between `sentAt` and now (performance.now()). */
  learn(redisNow: number, sentAt: number, shard = 0): void {
    const received = performance.now();
    // An answer that took long says little about when Redis looked at its clock.
    if (received - sentAt < 250) this.#offsets[this.#slotGroupOf(shard)] = redisNow - (sentAt + received) / 2;
  }

  /**
   * Whether the clock has been set since it was learnt: an answer to what was sent at `sentAt` (performance.now()) and has just
   * come says a time that it cannot have been by what is known of it.
   */
  hasMoved(redisNow: number, sentAt: number, shard = 0): boolean {
    const offset = this.#offsets[this.#slotGroupOf(shard)];
    if (typeof offset !== 'number') return false;
    return redisNow < sentAt + offset - SET_BY_MS || redisNow > performance.now() + offset + SET_BY_MS;
  }

  /** Forgets what is known of the clock of one shard, or (null) of all. */
  reset(shard: number | null = null): void {
    if (shard === null) this.#offsets.fill(null);
    else this.#offsets[this.#slotGroupOf(shard)] = null;
  }

  /**
   * Redis's time as far as known, in whole ms; 0: unknown. Of one shard, or (null) of any, for what no deadline hangs
   * on.
   */
  now(shard: number | null = null): number {
    const offset =
      shard === null ? this.#offsets.find((known) => known !== null) : this.#offsets[this.#slotGroupOf(shard)];
    return typeof offset === 'number' ? Math.round(performance.now() + offset) : 0;
  }

  #slotGroupOf(shard: number): number {
    return this.#offsets.length === 1 ? 0 : shard;
  }
}
