import { createHash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';

export interface Operator {
  user: string;
  password: string;
}

/** What an operator who has not signed in is asked for. */
export const OPERATOR_CHALLENGE = 'Basic realm="Rollcall", charset="UTF-8"';

/** Wrong passwords that one address may try within the window. */
export const MOST_ATTEMPTS = 20;
const WINDOW_MS = 60_000;
/** Those that failed longest ago are forgotten first. */
const MOST_ADDRESSES = 10_000;

export type Verdict = { kind: 'operator' } | { kind: 'stranger' } | { kind: 'too many attempts'; retryAfterMs: number };

/**
 * HTTP Basic, and who may go on trying. Whoever has guessed wrong too often is not even compared any more, for an answer
 * to the right password would let them go on guessing.
 */
export class OperatorLock {
  readonly #expected: Buffer;
  readonly #failures = new LRUCache<string, { count: number; until: number }>({ max: MOST_ADDRESSES });

  constructor({ user, password }: Operator) {
    this.#expected = sha256(`${user}:${password}`);
  }

  /** Judges an `Authorization` header. `from`: what counts as one who tries. Without a password nothing was tried: browsers ask before they know of the lock. */
  judge(authorization: string | undefined, from: string, now = performance.now()): Verdict {
    const failures = this.#failures.get(from);
    const failed = failures !== undefined && now < failures.until ? failures : { count: 0, until: now + WINDOW_MS };
    if (failed.count >= MOST_ATTEMPTS) return { kind: 'too many attempts', retryAfterMs: failed.until - now };
    const given = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization ?? '')?.[1];
    if (given === undefined) return { kind: 'stranger' };
    // Hashes have one length, so the comparison tells nothing of the password's.
    if (timingSafeEqual(sha256(Buffer.from(given, 'base64')), this.#expected)) return { kind: 'operator' };
    this.#failures.set(from, { count: failed.count + 1, until: failed.until });
    return { kind: 'stranger' };
  }
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
