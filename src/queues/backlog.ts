const LOOK_EVERY_MS = 1000;

/**
 * Says whether a queue has enough of what only says that there is something to do, so that a queue which nobody works on, since it
 * was paused or no worker runs, does not fill Redis. Looks at most once a second, and keeps nobody waiting as long as all is well.
 */
export class Backlog {
  readonly #look: () => Promise<boolean>;
  #full = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** `look`: asks the queue whether it has enough. A queue that cannot be asked has not. */
  constructor(look: () => Promise<boolean>) {
    this.#look = look;
  }

  /** Whether the queue has enough, as was seen a second ago at the most, or at the time before it where that was no. */
  async isFull(): Promise<boolean> {
    if (performance.now() - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = performance.now();
      const looking = this.#look()
        .catch(() => false)
        .then((full) => {
          this.#full = full;
        });
      if (this.#full) await looking;
    }
    return this.#full;
  }
}
