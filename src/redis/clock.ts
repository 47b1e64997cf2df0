/**
 * What this process knows of Redis's clock, on the process's own monotonic clock, so that a moved wall clock does not
 * matter. It serves one purpose: a command that waited while Redis stood still is recognised as late.
 */
export class RedisClock {
  #offset: number | null = null;

  /** `redisNow` was Redis's time (ms) at some moment between `sentAt` and now (performance.now()). */
  learn(redisNow: number, sentAt: number): void {
    const received = performance.now();
    // An answer that took long says little about when Redis looked at its clock.
    if (received - sentAt < 250) this.#offset = redisNow - (sentAt + received) / 2;
  }

  forget(): void {
    this.#offset = null;
  }

  /** Redis's time as far as known, in whole ms; 0: unknown. */
  now(): number {
    return this.#offset === null ? 0 : Math.round(performance.now() + this.#offset);
  }
}
