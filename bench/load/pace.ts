import { setTimeout as pause } from 'node:timers/promises';

const TICK_MS = 5;

/** Does something `count` times, evenly spread; a late tick makes up for what it missed. Resolves when all of it is begun. */
export async function paced(count: number, perSecond: number, act: (n: number) => void): Promise<void> {
  const from = performance.now();
  for (let done = 0; done < count; ) {
    const owed = Math.min(count, Math.ceil(((performance.now() - from) * perSecond) / 1000));
    for (; done < owed; done++) act(done);
    if (done < count) await pause(TICK_MS);
  }
}

/** The same for work that takes a while: no more than `atOnce` of it under way. Resolves when all is done, rejects with the first failure. */
export async function pacedWork(
  count: number,
  { perSecond, atOnce }: { perSecond: number; atOnce: number },
  work: (n: number) => Promise<void>,
): Promise<void> {
  const from = performance.now();
  let next = 0;
  const one = async () => {
    while (next < count) {
      const n = next++;
      const early = (n * 1000) / perSecond - (performance.now() - from);
      if (early > 1) await pause(early);
      await work(n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, one));
}

/** Something for one after the other of a crowd, which may grow, each once in `everyMs`, until stopped. */
export class Beat {
  #timer: NodeJS.Timeout;
  #done = 0;
  #next = 0;
  #owed = 0;

  constructor(size: () => number, everyMs: number, act: (n: number) => void) {
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#owed += ((now - last) * size()) / everyMs;
      last = now;
      for (; this.#owed >= 1; this.#owed--) {
        act(this.#next);
        this.#done++;
        this.#next = this.#next + 1 < size() ? this.#next + 1 : 0;
      }
    }, TICK_MS);
  }

  /** Returns how often it was done. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#done;
  }
}

/**
 * Something for each of a crowd, every so many ms since they came, as their own timers would have it; until it returns false or
 * all of it is stopped.
 */
export class Recurring<T> {
  readonly #everyMs: number;
  readonly #timer: NodeJS.Timeout;
  /** By when they are due: everybody waits equally long, so whoever was added last is last. */
  #waiting: { one: T; due: number }[] = [];
  #first = 0;

  constructor(everyMs: number, act: (one: T) => boolean) {
    this.#everyMs = everyMs;
    this.#timer = setInterval(() => {
      const now = performance.now();
      for (let next = this.#waiting[this.#first]; next && next.due <= now; next = this.#waiting[this.#first]) {
        this.#first++;
        if (!act(next.one)) continue;
        next.due += everyMs;
        this.#waiting.push(next);
      }
      if (this.#first <= this.#waiting.length / 2) return;
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }, TICK_MS);
  }

  /** `inMs`: until the first turn, no sooner than that of who was added before. */
  add(one: T, inMs = this.#everyMs): void {
    this.#waiting.push({ one, due: performance.now() + inMs });
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
