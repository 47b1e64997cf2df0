import { LRUCache } from 'lru-cache';

/** Whose turns a process remembers at once; a flood from more addresses than this is for those in front to stop. */
const REMEMBERED = 20_000;

/** How fast a lane goes: one turn in `everyMs`, and no more than `most` waiting for theirs. */
export interface Pace {
  everyMs: number;
  most: number;
}

/** Serves those who have lost the right to be served at once: one after the other, each behind a pause. */
export class SlowLane {
  readonly #pace: Pace;
  readonly #now: () => number;
  /** When the next turn of somebody is, on this process's monotonic clock. */
  readonly #next = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(pace: Pace, now: () => number = () => performance.now()) {
    this.#pace = pace;
    this.#now = now;
  }

  /** Resolves when it is the turn of one of `whom`, whose turns follow each other; null: too many of them wait already. */
  turn(whom: string): Promise<void> | null {
    const { everyMs, most } = this.#pace;
    const now = this.#now();
    const at = Math.max(this.#next.get(whom) ?? 0, now) + everyMs;
    if (at - now > most * everyMs) return null;
    this.#next.set(whom, at);
    return new Promise((resolve) => setTimeout(resolve, at - now));
  }
}
