import { LRUCache } from 'lru-cache';
import { RollcallError } from '../../errors.ts';
import type { SharedLimits } from '../../redis/limits.ts';

export const WINDOW_MS = 10_000;
/** Whom a process remembers at once, per limit: a flood from more addresses than this is for those in front to stop. */
const REMEMBERED = 20_000;
/** A process lets this part of a limit through without asking Redis, so that whoever behaves costs nothing there. */
const OWN_SHARE = 1 / 4;
/** And then reserves so much at a time. */
const AT_A_TIME = 1 / 8;
/** A slow Redis must not make those wait who are within their limits. */
const PATIENCE_MS = 500;

interface Account {
  endsAt: number;
  used: number;
  allowed: number;
  /** What was noted here alone; it may be known to be too much before Redis has answered. */
  noted: number;
  /** Nothing more is to be had in this window. */
  full: boolean;
  asking: Promise<void> | null;
}

/**
 * How much of something somebody may do within ten seconds. Counted here, without a word to Redis, up to the process's own
 * share; what goes beyond is reserved from a count that all processes share. Once that is used up the answer is known
 * here for the rest of the window, so a flood asks nobody anything. Where Redis does not answer, each process
 * allows the whole limit.
 */
export class Limit {
  readonly #name: string;
  readonly #most: number;
  readonly #shared: Pick<SharedLimits, 'reserve'>;
  readonly #now: () => number;
  readonly #accounts = new LRUCache<string, Account>({ max: REMEMBERED });

  constructor(
    name: string,
    most: number,
    shared: Pick<SharedLimits, 'reserve'>,
    now: () => number = () => performance.now(),
  ) {
    this.#name = name;
    this.#most = most;
    this.#shared = shared;
    this.#now = now;
  }

  /** Takes `cost` for `whom`; null: it is taken, at once. Throws, or rejects with, RATE_LIMITED where it is too much. */
  take(whom: string, cost = 1): Promise<void> | null {
    const account = this.#account(whom);
    if (account.used + cost <= account.allowed) {
      account.used += cost;
      return null;
    }
    if (account.full) throw this.#refusal(account);
    return this.#takeMore(whom, account, cost);
  }

  /** Whether nothing more can be taken for the rest of the window, as far as is known here. Takes nothing. */
  isExhausted(whom: string): boolean {
    const account = this.#accounts.get(whom);
    if (account === undefined || account.endsAt <= this.#now()) return false;
    return (account.full && account.used >= account.allowed) || account.noted >= this.#most;
  }

  /** How much was let through here in this window. Takes nothing. */
  used(whom: string): number {
    const account = this.#accounts.get(whom);
    return account !== undefined && account.endsAt > this.#now() ? account.used : 0;
  }

  /** Counts what has happened already and cannot be refused any more. */
  note(whom: string): void {
    this.#account(whom).noted++;
    try {
      this.take(whom)?.catch(() => {});
    } catch {
      // The next one is refused.
    }
  }

  /** The error with which `whom` is refused, with how long the window still runs. */
  refusalFor(whom: string): RollcallError {
    return this.#refusal(this.#account(whom));
  }

  #refusal({ endsAt }: Account): RollcallError {
    return new RollcallError('RATE_LIMITED', { retryAfterMs: Math.max(1, endsAt - this.#now()) });
  }

  #account(whom: string): Account {
    const known = this.#accounts.get(whom);
    const now = this.#now();
    if (known !== undefined && known.endsAt > now) return known;
    const allowed = Math.ceil(this.#most * OWN_SHARE);
    const account = { endsAt: now + WINDOW_MS, used: 0, allowed, noted: 0, full: false, asking: null };
    this.#accounts.set(whom, account);
    return account;
  }

  async #takeMore(whom: string, account: Account, cost: number): Promise<void> {
    while (account.used + cost > account.allowed) {
      if (account.full) throw this.#refusal(account);
      account.asking ??= this.#reserve(whom, account, cost).finally(() => {
        account.asking = null;
      });
      await account.asking;
    }
    account.used += cost;
  }

  async #reserve(whom: string, account: Account, cost: number): Promise<void> {
    const most = this.#most;
    // The own share is reserved along with the first of what goes beyond.
    const first = account.allowed === Math.ceil(most * OWN_SHARE) ? account.allowed : 0;
    const amount = Math.max(cost, Math.ceil(most * AT_A_TIME));
    const answer = await inTime(this.#shared.reserve(this.#name, whom, first + amount, WINDOW_MS));
    if (answer === null) {
      account.allowed = Math.max(account.allowed, most);
      account.full = true;
      return;
    }
    const granted = Math.min(amount, amount - (answer.total - most));
    account.allowed += Math.max(0, granted);
    account.full = granted < amount;
    if (account.full) account.endsAt = this.#now() + Math.min(Math.max(answer.leftMs, 1), WINDOW_MS);
  }
}

/** null: no answer. */
async function inTime<T>(answer: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<null>((resolve) => {
    // What has come while this process was busy is read first.
    timer = setTimeout(() => setImmediate(() => resolve(null)), PATIENCE_MS);
  });
  try {
    return await Promise.race([answer.catch(() => null), patience]);
  } finally {
    clearTimeout(timer);
  }
}
