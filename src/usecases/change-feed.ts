import { setTimeout as pause } from 'node:timers/promises';
import { RollcallError } from '../errors.ts';
import { changesAfter, type FeedCursor, feedState } from '../postgres/change-feed.ts';
import { isConnectionError } from '../postgres/errors.ts';
import { type ChangesAnswer, feedChange, writeFeedCursor } from '../protocol/changes.ts';
import type { Stores } from '../stores.ts';
import { orUnavailable } from './unavailable.ts';

/** One small question for all who wait together, and none while nobody does. */
const LOOK_EVERY_MS = 250;
/** A waiting request holds a socket and a timer, nothing else; still there has to be an end. */
const MAX_WAITING = 1000;
const FULL_RETRY_MS = 5000;

export interface ChangesApi {
  /** The process is about to end: whoever is answered should come to another. */
  readonly draining: boolean;
  /**
   * Changes behind `after` (null: from now on), the oldest first, at most `limit`; waits up to `waitMs` where there is
   * none yet. `gone` ends the waiting, which then has an empty answer. Throws CURSOR_TOO_OLD.
   */
  changes(after: FeedCursor | null, limit: number, waitMs: number, gone: AbortSignal): Promise<ChangesAnswer>;
}

interface Waiter {
  position: number;
  wake: () => void;
}

/** The change feed as backends read it by REST, and wait for more of it. */
export class ChangeFeed implements ChangesApi {
  readonly #db: Stores['db'];
  readonly #waiters = new Set<Waiter>();
  #looking: Promise<void> | null = null;
  readonly #drained = new AbortController();

  constructor({ db }: Pick<Stores, 'db'>) {
    this.#db = db;
  }

  get draining(): boolean {
    return this.#drained.signal.aborted;
  }

  async changes(after: FeedCursor | null, limit: number, waitMs: number, gone: AbortSignal): Promise<ChangesAnswer> {
    const from = after ?? (await orUnavailable(() => feedState(this.#db))).now;
    // Without a cursor nothing can be waiting yet; with one, most often something is.
    const at = after === null ? { changes: [], next: from } : await this.#read(from, limit);
    if (at.changes.length > 0 || after === null || waitMs === 0) return answer(at);
    await this.#wait(at.next.position, waitMs, gone);
    return answer(gone.aborted ? at : await this.#read(at.next, limit));
  }

  /** Answers at once all who wait, and has nobody wait from now on. Resolves once nothing is looked for any more. */
  async drain(): Promise<void> {
    this.#drained.abort();
    for (const { wake } of this.#waiters) wake();
    await this.#looking;
  }

  async #read(after: FeedCursor, limit: number) {
    const page = await orUnavailable(() => changesAfter(this.#db, after, limit));
    if (page.gone) throw new RollcallError('CURSOR_TOO_OLD');
    return page;
  }

  async #wait(position: number, waitMs: number, gone: AbortSignal): Promise<void> {
    if (this.draining || gone.aborted) return;
    if (this.#waiters.size >= MAX_WAITING) {
      throw new RollcallError('RATE_LIMITED', { message: 'Too many are waiting.', retryAfterMs: FULL_RETRY_MS });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const waiter = { position, wake };
    const timer = setTimeout(wake, waitMs);
    gone.addEventListener('abort', wake, { once: true });
    this.#waiters.add(waiter);
    this.#looking ??= this.#extras().finally(() => {
      this.#looking = null;
    });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      gone.removeEventListener('abort', wake);
      this.#waiters.delete(waiter);
    }
  }

  /** Wakes whoever has something to read, for as long as anybody waits. */
  async #extras(): Promise<void> {
    const { signal } = this.#drained;
    while (this.#waiters.size > 0) {
      await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        const { now } = await feedState(this.#db);
        for (const { position, wake } of this.#waiters) if (now.position > position) wake();
      } catch (error) {
        // It may be back before the waiting is over. Whatever else went wrong shows when they read.
        if (!isConnectionError(error)) for (const { wake } of this.#waiters) wake();
      }
    }
  }
}

function answer({ changes, next }: { changes: Parameters<typeof feedChange>[0][]; next: FeedCursor }): ChangesAnswer {
  return { changes: changes.map(feedChange), nextCursor: writeFeedCursor(next) };
}
