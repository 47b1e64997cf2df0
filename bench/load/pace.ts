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
