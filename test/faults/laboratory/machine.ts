import { readFileSync } from 'node:fs';

const EVERY_MS = 50;
/** Waits of several processes overlap: never more than this share of the time that passed, so that every wait ends. */
const MOST = 0.8;

interface Sample {
  at: number;
  /** How long, all told, everybody was kept waiting by this machine so far (ms). */
  waited: number;
}

/**
 * How much this machine itself stood in the way: the laboratory's own late timers, and the time that its processes were
 * ready to run and got no processor (`/proc/<pid>/schedstat`, Linux; elsewhere only the former is known). A promise in
 * seconds is kept by the product and the machine together, so what the machine took is allowed on top of it.
 */
export class Machine {
  readonly #samples: Sample[] = [{ at: Date.now(), waited: 0 }];
  readonly #pids: () => number[];
  readonly #delays = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #due = 0;

  constructor(pids: () => number[]) {
    this.#pids = pids;
  }

  start(): void {
    this.#due = performance.now() + EVERY_MS;
    this.#timer = setInterval(() => this.#sample(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What it took of a stretch of time, in ms. A change passes several processes in turn, so their waits add up. */
  taken(from: number, to: number): number {
    return this.#at(to) - this.#at(from);
  }

  #at(moment: number): number {
    let [low, high] = [0, this.#samples.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#samples[middle]?.at ?? 0) < moment) low = middle + 1;
      else high = middle;
    }
    return this.#samples[low]?.waited ?? 0;
  }

  #sample(): void {
    const now = performance.now();
    const late = Math.max(0, now - this.#due - 5);
    this.#due = Math.max(this.#due + EVERY_MS, now);
    let waited = late;
    for (const pid of this.#pids()) {
      const delay = runDelay(pid);
      if (delay === null) continue;
      waited += delay - (this.#delays.get(pid) ?? delay);
      this.#delays.set(pid, delay);
    }
    const before = this.#samples.at(-1) ?? { at: Date.now(), waited: 0 };
    const at = Date.now();
    this.#samples.push({ at, waited: before.waited + Math.min(waited, MOST * (at - before.at)) });
  }
}

/** How long a process was ready to run and waited for a processor since it began, in ms. */
function runDelay(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return null;
  }
}
