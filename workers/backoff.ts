const FIRST_MS = 1000;
const LONGEST_MS = 16_000;

/**
 * Says when something that failed may be tried again: after a second, then after twice as long each time, up to sixteen
 * seconds.
 */
export class Backoff {
  #waitMs = FIRST_MS;
  #notBefore = Number.NEGATIVE_INFINITY;

  /** Whether it has to wait still. */
  get isWaiting(): boolean {
    return performance.now() < this.#notBefore;
  }

  /** Notes that it failed, once more. */
  failed(): void {
    this.#notBefore = performance.now() + this.#waitMs;
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_MS);
  }

  /** Notes that it was done, or has become something else: nothing is waited for any more. */
  reset(): void {
    this.#waitMs = FIRST_MS;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }
}
