import type { Logger } from '../src/log.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { isRedisAway } from '../src/redis/absence.ts';

/** Whoever calls does not come on the dot. */
const SLACK_MS = 50;

/**
 * Work that goes on beside the sweep and not in it, for PostgreSQL may let it wait: passes at least so long apart, never two
 * at a time. A store that is away is no news; the next pass tries again.
 */
export class Background {
  readonly #everyMs: number;
  readonly #pass: () => Promise<unknown>;
  readonly #failed: (error: unknown) => void;
  #passing: Promise<void> | null = null;
  #beganAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  /** `complaint` is what the log says where a pass fails for another reason than a store that is away. */
  constructor(everyMs: number, pass: () => Promise<unknown>, log: Logger, complaint: string) {
    this.#everyMs = everyMs;
    this.#pass = pass;
    this.#failed = (error) => {
      if (!isRedisAway(error) && !isConnectionError(error)) log.error({ err: error }, complaint);
    };
  }

  /** Begins a pass, unless one is under way or has just been; may be called at any time. */
  tick(): void {
    if (this.#stopped || this.#passing !== null) return;
    if (performance.now() - this.#beganAt < this.#everyMs - SLACK_MS) return;
    this.#beganAt = performance.now();
    this.#passing = this.#pass()
      .then(() => {}, this.#failed)
      .finally(() => {
        this.#passing = null;
      });
  }

  /** Resolves once nothing is under way, and nothing begins after that. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#passing;
  }
}
