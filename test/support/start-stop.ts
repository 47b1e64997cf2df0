import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { sep } from 'node:path';
import { expect } from 'vitest';
import { repeatedWork } from '../../src/lifecycle.ts';

/** Something that lives long: it may be started and stopped by anybody at any time. */
export interface Part {
  start(): unknown;
  stop(): unknown;
}

export interface StartStopOptions {
  /**
   * Files whose doings are not the part's, such as those of the stores that it is given: then only what is begun in other files
   * has to be over. Where nothing is said the part shares nothing, and whatever has come about by it has to be over.
   */
  others?: readonly string[];
  /** Has whatever might call the part do so, and resolves when it has. */
  disturb?(): Promise<unknown>;
  /** Outside of this process: how much there is of what only living parts hold, such as connections. */
  outside?(): Promise<number>;
  /** It says goodbye: its connections end when that has been heard, which `outside` has to show. */
  goodbye?: boolean;
  /** A start after a stop starts it again. */
  again?: boolean;
}

const ROUNDS = 10;
const AT_ONCE = 50;

const KINDS = new Set([
  'Timeout',
  'Immediate',
  'TCPWRAP',
  'TCPSERVERWRAP',
  'PIPEWRAP',
  'PROCESSWRAP',
  'GETADDRINFOREQWRAP',
]);
const OURS = ['src', 'workers'].map((folder) => `${process.cwd()}${sep}${folder}${sep}`);

interface Held {
  kind: string;
  /** By whom, the innermost first. */
  by: string[];
}

/** Knows of every timer, socket, server and process that a part made, itself or by a library, and that is not over. */
class Witness {
  readonly #live = new Map<number, Held>();
  readonly #others: ReadonlySet<string> | null;
  readonly #goodbye: boolean;
  readonly #within = new AsyncLocalStorage<Witness>();
  #born: Held[] = [];
  #repeatedBefore = repeatedWork();
  #stirred = false;
  readonly #hook = createHook({
    init: (id, kind) => {
      if (!KINDS.has(kind) || (this.#goodbye && kind === 'TCPWRAP')) return;
      const within = this.#within.getStore() === this;
      this.#stirred ||= within;
      const held = { kind, by: ours() };
      const { by } = held;
      // The one timer for all that is done again and again, which is counted by itself.
      if (by[0]?.startsWith('src/lifecycle.ts')) return;
      const others = this.#others;
      if (others ? by.every((place) => others.has(place.replace(/:\d+$/, ''))) : by.length === 0 && !within) return;
      this.#stirred = true;
      this.#live.set(id, held);
      this.#born.push(held);
    },
    destroy: (id) => void this.#live.delete(id),
  });

  constructor({ others, goodbye = false }: StartStopOptions) {
    this.#goodbye = goodbye;
    this.#others = others ? new Set(others) : null;
    this.#hook.enable();
  }

  /** What comes about by this is the part's, across whatever is awaited and called back. */
  watch<T>(work: () => T): T {
    return this.#within.run(this, work);
  }

  /** Forgets what has been up to now. */
  reset(): void {
    this.#live.clear();
    this.#born = [];
    this.#stirred = false;
    this.#repeatedBefore = repeatedWork();
  }

  /** Whether something has begun by it, be it on behalf of others. */
  get stirred(): boolean {
    return this.#stirred || repeatedWork() > this.#repeatedBefore;
  }

  get left(): string[] {
    const repeated = repeatedWork() - this.#repeatedBefore;
    return [
      ...[...this.#live.values()].map(said),
      ...(repeated === 0 ? [] : [`${repeated} that is done again and again`]),
    ];
  }

  /** What has begun since, over or not. */
  get born(): string[] {
    return this.#born.map(said);
  }

  close(): void {
    this.#hook.disable();
  }
}

const said = ({ kind, by }: Held) => `${kind} by ${by.join(' < ')}`;

/** The places in our code that led here, across what they await. */
function ours(): string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60;
  const lines = (new Error().stack ?? '').split('\n');
  Error.stackTraceLimit = limit;
  return lines.flatMap((line) => {
    const folder = OURS.find((path) => line.includes(path));
    if (!folder || line.includes('node_modules')) return [];
    const place = line.slice(line.indexOf(folder) + process.cwd().length + 1);
    return [place.replace(/(\.tsx?(?:\?[^:]*)?):(\d+).*$/, '$1:$2')];
  });
}

/** What is over by now is told to hooks, and what was said last has been written. */
async function turns(): Promise<void> {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Ten rounds of fifty who start and stop a part at once, a stop before the start, two stops, and a stop while it starts:
 * each time nothing of it is left when the stop has returned, nor comes to life later.
 */
export async function stressStartStop(
  build: () => Part | Promise<Part>,
  options: StartStopOptions = {},
): Promise<void> {
  const { disturb, outside, again = false } = options;
  const witness = new Witness(options);
  const before = await outside?.();
  const made: Part[] = [];
  const make = async (): Promise<Part> => {
    const part = await witness.watch(build);
    made.push(part);
    return { start: () => witness.watch(() => part.start()), stop: () => witness.watch(() => part.stop()) };
  };

  const isOver = async (when: string) => {
    await turns();
    expect(witness.left, when).toEqual([]);
  };
  const staysOver = async (when: string) => {
    await isOver(when);
    witness.reset();
    await disturb?.();
    await turns();
    expect(witness.born, `${when}, and later`).toEqual([]);
    if (outside) await expect.poll(outside, { message: when, timeout: 5000 }).toBe(before);
  };

  try {
    for (let round = 1; round <= ROUNDS; round++) {
      witness.reset();
      const part = await make();
      const both = async (turn: number) => {
        for (let n = 0; n < turn % 5; n++) await new Promise((resolve) => setImmediate(resolve));
        await part.start();
        await part.stop();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, (_, turn) => both(turn)));
      await isOver(`round ${round} of ${AT_ONCE} starts and stops at once`);
    }
    await staysOver('after the last round');

    witness.reset();
    const never = await make();
    await never.stop();
    await isOver('stopped before it was started');
    await never.start();
    if (!again) await isOver('started after it was stopped');
    await never.stop();
    await staysOver('stopped before it was started, and again');

    witness.reset();
    const twice = await make();
    await twice.start();
    await expect.poll(() => witness.stirred, { message: 'there is something to stop', timeout: 5000 }).toBe(true);
    await Promise.all([twice.stop(), twice.stop()]);
    await isOver('stopped twice at once');
    await twice.stop();
    await staysOver('stopped a third time');

    witness.reset();
    const meanwhile = await make();
    const starting = Promise.resolve(meanwhile.start());
    await meanwhile.stop();
    await isOver('stopped while it was starting');
    await starting;
    await staysOver('when that start has returned');
  } finally {
    witness.close();
    for (const part of made) await part.stop();
  }
}
