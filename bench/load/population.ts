import type { SessionsHelper } from '../systems/sessions.ts';

/** As many as a web takes, where nothing else is set. */
const USERS_OF_A_PROCESS = 50_000;

/** So many processes let in who comes: with more at once the wait of each would be that of all. */
const LET_IN = 2;

/** A process; the users with numbers from the first to before the next are here. */
interface House {
  sessions: SessionsHelper;
  prefix: string;
  first: number;
  next: number;
}

/** Users of as many processes with sessions as they need: the newest come, the oldest leave. */
export class Population {
  readonly #start: () => Promise<SessionsHelper>;
  readonly #houses: House[] = [];

  constructor(start: () => Promise<SessionsHelper>) {
    this.#start = start;
  }

  get size(): number {
    return this.#houses.reduce((sum, { first, next }) => sum + next - first, 0);
  }

  get processes(): number[] {
    return this.#houses.map(({ sessions }) => sessions.pid);
  }

  /** Has room for so many. */
  async prepare(users: number): Promise<void> {
    while (this.#houses.length * USERS_OF_A_PROCESS < users) {
      this.#houses.push({ sessions: await this.#start(), prefix: `user-${this.#houses.length}-`, first: 0, next: 0 });
    }
  }

  /** Rejects where somebody was refused. */
  async grow(users: number, perSecond: number): Promise<void> {
    const open = this.#houses.filter(({ first, next }) => next - first < USERS_OF_A_PROCESS).slice(0, LET_IN);
    const count = Math.ceil(users / open.length);
    await Promise.all(
      open.map((house) => {
        const { sessions, prefix, next: from } = house;
        house.next += count;
        return sessions.ask('open', { prefix, from, count }, perSecond / open.length);
      }),
    );
  }

  /** Such a part of them leaves in so many seconds, and as many others come; returns how many that are. */
  async turnOver(part: number, seconds: number): Promise<number> {
    let leaving = 0;
    await Promise.all(
      this.#houses.map(async (house) => {
        const { sessions, prefix, first, next } = house;
        const count = Math.round((next - first) * part);
        leaving += count;
        // Whoever is going to leave in this time may be told to have left at any of it.
        house.first += count;
        house.next += count;
        await Promise.all([
          sessions.ask('open', { prefix, from: next, count }, count / seconds),
          sessions.ask('leave', { prefix, from: first, count }, count / seconds),
        ]);
      }),
    );
    return leaving;
  }

  /** Some of those who will be the last to leave. */
  sample(users: number): string[] {
    const each = Math.ceil(users / this.#houses.length);
    return this.#houses.flatMap(({ prefix, first, next }) => ids(prefix, Math.max(first, next - each), next));
  }

  isHere(userId: string): boolean {
    const [, process, number] = /^user-(\d+)-(\d+)$/.exec(userId) ?? [];
    const house = this.#houses[Number(process)];
    return house !== undefined && Number(number) >= house.first;
  }

  here(): string[] {
    return this.#houses.flatMap(({ prefix, first, next }) => ids(prefix, first, next));
  }

  gone(): string[] {
    return this.#houses.flatMap(({ prefix, first }) => ids(prefix, 0, first));
  }
}

function ids(prefix: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, n) => `${prefix}${from + n}`);
}
