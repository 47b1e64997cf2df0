/** Tries again so soon where it could not be told, */
const AGAIN_MS = 2000;
/** and where it is too early. */
const EARLY_MS = 250;

/** Has watchers told what is true, where something may have been missed: at a time, and again until that could be done. */
export class Resync {
  readonly #tell: () => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #isEarly: () => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> | undefined;
  #stopped = false;

  /**
   * `tell` rejects where that cannot be done now, which `failed` hears; `isEarly` says whether processes still have to tell Redis
   * of beats and sessions, without which somebody looks gone who is here.
   */
  constructor(tell: () => Promise<void>, failed: (error: unknown) => void, isEarly: () => Promise<boolean>) {
    this.#tell = tell;
    this.#failed = failed;
    this.#isEarly = isEarly;
  }

  /** Whether it is still to be done. */
  get due(): boolean {
    return this.#timer !== undefined || this.#telling !== undefined;
  }

  /** Has it done in so many ms, unless it is to be sooner. */
  in(ms: number): void {
    if (!this.#stopped) this.#timer ??= setTimeout(() => this.#run(), ms);
  }

  /** Has it done in so many ms and no sooner. */
  notBefore(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.in(ms);
  }

  /** Does it no more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves once nothing is being told. */
  async settled(): Promise<void> {
    await this.#telling;
  }

  #run(): void {
    this.#timer = undefined;
    const telling: Promise<void> = this.#isEarly()
      .then((isEarly) => (isEarly ? this.in(EARLY_MS) : this.#tell()))
      .catch((error) => {
        this.#failed(error);
        this.in(AGAIN_MS);
      })
      .finally(() => {
        if (this.#telling === telling) this.#telling = undefined;
      });
    this.#telling = telling;
  }
}
