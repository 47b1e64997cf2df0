/** How long (ms) until those that could not be known are asked for again. */
const AGAIN_MS = 1000;

/** Asks for users again and again, so many at once, until they are known or nobody wants to know them any more. */
export class AskAgain {
  readonly #ask: (userIds: string[]) => Promise<void>;
  readonly #isWanted: (userId: string) => boolean;
  readonly #atOnce: number;
  readonly #unknown = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | null = null;
  #isAsking = false;
  #stopped = false;

  /** `ask` rejects where they cannot be known now either. */
  constructor(ask: (userIds: string[]) => Promise<void>, isWanted: (userId: string) => boolean, atOnce: number) {
    this.#ask = ask;
    this.#isWanted = isWanted;
    this.#atOnce = atOnce;
  }

  /** Whether some are still to be told of. */
  get owes(): boolean {
    return this.#timer !== undefined || this.#isAsking;
  }

  /** Adds users that could not be known. */
  add(userIds: string[]): void {
    for (const userId of userIds) this.#unknown.add(userId);
    if (this.#unknown.size === 0 || this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const waiting = [...this.#unknown].filter(this.#isWanted);
      this.#unknown.clear();
      this.#isAsking = true;
      const asked = (left: string[]) => {
        this.#isAsking = false;
        this.add(left);
      };
      this.#asking = this.#ask(waiting.slice(0, this.#atOnce)).then(
        () => asked(waiting.slice(this.#atOnce)),
        () => asked(waiting),
      );
    }, AGAIN_MS);
  }

  /** Asks no more; resolves once nothing is being asked. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#asking;
  }
}
