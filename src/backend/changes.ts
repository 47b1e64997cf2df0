import { backOff, type Http, wait } from './http.ts';
import { RollcallError } from './rollcall-error.ts';
import type { Change, RoomTold } from './types.ts';

export interface ChangesOptions {
  /** The cursor that was kept last; without one the feed begins now, with a reset. */
  after?: string | undefined;
  /** Ends the loop. */
  signal?: AbortSignal | undefined;
  /** Changes in an answer, 1 to 1000; 500 by default. */
  limit?: number | undefined;
  /** How long an answer may be put off while there is nothing to tell, 0 to 60; 25 by default. */
  waitSeconds?: number | undefined;
  /** Told of each failure that is waited out. */
  onRetry?: ((error: RollcallError) => void) | undefined;
}

/** A change of a user, or what has become of a room (it has a `type`), with the cursor to keep once it is dealt with. */
export type FedChange = (Change | RoomTold) & { cursor: string; reset?: undefined };

/** Here the feed begins anew: take a snapshot of whom you know, then keep the cursor. */
export interface FedReset {
  reset: true;
  cursor: string;
}

const FIRST_WAIT_MS = 1000;
const GRACE_MS = 15_000;
/** Between two questions, where the first found nothing. */
const LEAST_MS = 1000;

interface Page {
  changes: (Change | RoomTold)[];
  nextCursor: string;
}

/** Every change in order and none left out, for as long as the loop goes on. See `Rollcall.changes`. */
export async function* follow(http: Http, options: ChangesOptions): AsyncGenerator<FedChange | FedReset, void, void> {
  const { signal, limit = 500, waitSeconds = 25, onRetry } = options;
  let after = options.after;
  let failed = 0;
  let askedAt = 0;
  while (!signal?.aborted) {
    try {
      // A server that drains puts nothing off.
      await wait(Math.max(0, askedAt + LEAST_MS - Date.now()), signal);
      askedAt = Date.now();
      const query = after === undefined ? {} : { after, limit, wait: waitSeconds };
      const timeoutMs = waitSeconds * 1000 + GRACE_MS;
      const page = await http.call<Page>('GET', '/changes', { query, signal, timeoutMs, retries: 0 });
      failed = 0;
      if (page.changes.length > 0 || after === undefined) askedAt = 0;
      if (after === undefined) yield { reset: true, cursor: page.nextCursor };
      for (const [n, change] of page.changes.entries()) {
        // Until the last of a page is dealt with, all of it comes again.
        const cursor: string = n === page.changes.length - 1 ? page.nextCursor : (after ?? page.nextCursor);
        yield { ...change, cursor };
        if (signal?.aborted) return;
      }
      after = page.nextCursor;
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof RollcallError)) throw error;
      if (error.code === 'CURSOR_TOO_OLD') {
        after = undefined;
        continue;
      }
      if (!error.mayPass) throw error;
      onRetry?.(error);
      await wait(error.retryAfterMs ?? backOff(FIRST_WAIT_MS, failed++), signal).catch(() => {});
    }
  }
}
