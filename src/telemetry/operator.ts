import { createHash, timingSafeEqual } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { RollcallError } from '../errors.ts';
import { SlowLane } from './slow-lane.ts';

export interface Operator {
  user: string;
  password: string;
}

/** What an operator who has not signed in is asked for. */
export const OPERATOR_CHALLENGE = 'Basic realm="Rollcall", charset="UTF-8"';

/** Wrong passwords of an address within the window, over all processes, before they are looked at slowly only. */
export const MOST_ATTEMPTS = 20;
const WINDOW_MS = 60_000;
/** Then each process looks at two a second of that address; eight seconds to wait are within the patience of a scraper. */
const SLOW_PACE = { everyMs: 500, most: 16 };
/** For the count of all processes; whoever has guessed wrong may wait. */
const PATIENCE_MS = 500;
/** Those that failed longest ago are forgotten first. */
const MOST_ADDRESSES = 10_000;

/** The count that all processes share, as `SharedLimits` keeps it. */
interface SharedCount {
  reserve(limit: string, whom: string, amount: number, windowMs: number): Promise<{ total: number; leftMs: number }>;
}

interface Failures {
  count: number;
  until: number;
}

export type OperatorVerdict =
  | { kind: 'operator' }
  | { kind: 'stranger' }
  | { kind: 'too many attempts'; error: RollcallError };

/**
 * HTTP Basic, and how fast passwords may be tried. Many may share an address, so whoever guesses there keeps nobody out who
 * knows the password: after too many wrong ones each waits for its turn, which bounds the guesses, and the right one passes.
 * On a connection that has shown it before it passes without waiting, until a wrong one comes by it.
 *
 * Failures are counted by all processes together; where Redis does not answer, by each of them.
 */
export class OperatorLock {
  readonly #expected: Buffer;
  readonly #shared: SharedCount;
  readonly #now: () => number;
  readonly #lane: SlowLane;
  readonly #failures = new LRUCache<string, Failures>({ max: MOST_ADDRESSES });
  readonly #trusted = new WeakSet<object>();

  constructor(
    { user, password }: Operator,
    shared: SharedCount,
    now: () => number = () => performance.now(),
    pace = SLOW_PACE,
  ) {
    this.#expected = sha256(`${user}:${password}`);
    this.#shared = shared;
    this.#now = now;
    this.#lane = new SlowLane(pace, now);
  }

  /**
   * Judges an `Authorization` header. `from`: what counts as one who tries; `connection`: what it came by. Without a password
   * nothing was tried: browsers ask before they know of the lock.
   */
  async judge(authorization: string | undefined, from: string, connection: object): Promise<OperatorVerdict> {
    const given = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization ?? '')?.[1];
    if (given === undefined) return { kind: 'stranger' };
    const failures = this.#failuresOf(from);
    const slow = failures.count >= MOST_ATTEMPTS;
    if (slow && !this.#trusted.has(connection)) {
      const turn = this.#lane.turn(from);
      if (turn === null) return this.#tooMany(failures);
      await turn;
    }
    // Hashes have one length, so the comparison tells nothing of the password's.
    if (timingSafeEqual(sha256(Buffer.from(given, 'base64')), this.#expected)) {
      this.#trusted.add(connection);
      return { kind: 'operator' };
    }
    this.#trusted.delete(connection);
    await this.#failed(from);
    return slow ? this.#tooMany(failures) : { kind: 'stranger' };
  }

  #failuresOf(from: string): Failures {
    const known = this.#failures.get(from);
    return known !== undefined && this.#now() < known.until ? known : { count: 0, until: this.#now() + WINDOW_MS };
  }

  /** Resolves when the count of all is known, or was not to be had in time. */
  async #failed(from: string): Promise<void> {
    const failures = this.#failuresOf(from);
    failures.count++;
    this.#failures.set(from, failures);
    const counted = this.#shared.reserve('operator', from, 1, WINDOW_MS).then(
      ({ total, leftMs }) => {
        failures.count = Math.max(failures.count, total);
        failures.until = this.#now() + Math.min(leftMs, WINDOW_MS);
      },
      () => {},
    );
    await Promise.race([counted, delay(PATIENCE_MS, undefined, { ref: false })]);
  }

  #tooMany({ until }: Failures): OperatorVerdict {
    const message = 'Too many wrong passwords from this address: they are looked at one after the other.';
    const retryAfterMs = Math.max(1, until - this.#now());
    return { kind: 'too many attempts', error: new RollcallError('RATE_LIMITED', { message, retryAfterMs }) };
  }
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
