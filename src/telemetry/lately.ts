const MINUTE_MS = 60_000;

interface Minute {
  /** Which one, since the process began. */
  number: number;
  counts: Map<string, number>;
  greatest: number;
}

/**
 * What was counted in the last minutes, and the greatest of what was measured in them: for people who look now and cannot wait
 * for a second scrape. It holds a few numbers a minute, and needs no timer.
 */
export class Lately<Name extends string> {
  readonly #minutes: Minute[];
  readonly #now: () => number;

  /** `minutes`: how many are kept, the one under way among them. */
  constructor(minutes: number, now: () => number = () => performance.now()) {
    this.#minutes = Array.from({ length: minutes }, () => ({ number: -1, counts: new Map(), greatest: 0 }));
    this.#now = now;
  }

  /** Counts one. */
  count(name: Name): void {
    const { counts } = this.#current();
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  /** Takes a measurement, of which the greatest is kept. */
  measure(value: number): void {
    const minute = this.#current();
    if (value > minute.greatest) minute.greatest = value;
  }

  /** How many were counted by this name in all minutes that are kept. */
  total(name: Name): number {
    return this.#kept().reduce((sum, { counts }) => sum + (counts.get(name) ?? 0), 0);
  }

  /** The greatest measurement of all minutes that are kept; 0 where there is none. */
  get greatest(): number {
    return this.#kept().reduce((greatest, minute) => Math.max(greatest, minute.greatest), 0);
  }

  #current(): Minute {
    const number = Math.floor(this.#now() / MINUTE_MS);
    const place = number % this.#minutes.length;
    const found = this.#minutes[place];
    if (found?.number === number) return found;
    const begun = { number, counts: new Map<string, number>(), greatest: 0 };
    this.#minutes[place] = begun;
    return begun;
  }

  #kept(): Minute[] {
    const oldest = Math.floor(this.#now() / MINUTE_MS) - this.#minutes.length;
    return this.#minutes.filter(({ number }) => number > oldest);
  }
}
