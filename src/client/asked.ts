import { callListener } from './observable.ts';
import type { Observable } from './types.ts';

/** Beginnings of the codes of errors, and of the name of the one without, that remain what they are. */
const FINAL = /^(S|FORB|INV|NOT_F|UNSUPP)/;
const FIRST_ASKED_AGAIN_MS = 2000;
const LAST_ASKED_AGAIN_MS = 60_000;

/** A value that the server is asked for while somebody listens; asked again where it could not answer, after what it said or a while. */
export function createAsked<T>(ask: () => Promise<T>): Observable<T | undefined> & {
  /** Asks anew, if anybody listens; resolves once that, or what was asked later, is known or failed. */
  look(): Promise<void>;
} {
  const listeners = new Set<() => void>();
  let known: T | undefined;
  let looks = 0;
  let newest: Promise<void>;
  async function askAs(mine: number, pauseMs: number): Promise<void> {
    try {
      const answer = await ask();
      // An answer that is older than the last question may be older than what the user did meanwhile.
      if (mine !== looks) return newest;
      known = answer;
      for (const listener of [...listeners]) callListener(listener);
    } catch (thrown) {
      // What getToken threw may be anything.
      const { name, code = name, retryAfterMs = pauseMs } = Object(thrown);
      if (FINAL.test(code)) return;
      setTimeout(
        () => mine === looks && void look(Math.min(2 * pauseMs, LAST_ASKED_AGAIN_MS)),
        // Not all pages in one moment.
        retryAfterMs * (1 + Math.random() / 2),
      );
    }
  }
  async function look(pauseMs = FIRST_ASKED_AGAIN_MS): Promise<void> {
    if (listeners.size === 0) return;
    looks += 1;
    newest = askAs(looks, pauseMs);
    return newest;
  }
  return {
    look,
    get: () => known,
    subscribe(listener: () => void) {
      const own = () => listener();
      listeners.add(own);
      if (listeners.size === 1) void look();
      return () => void listeners.delete(own);
    },
  };
}
