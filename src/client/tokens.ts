import { monotonicMs } from './clock.ts';
import { isFinal } from './presence-error.ts';

/** What `getToken` gives; null: nobody is signed in. */
export type GetToken = () => string | null | Promise<string | null>;

const TOKEN_LIMIT_MS = 15_000;
/** Between two calls of `getToken`, whatever happens. */
const LEAST_GAP_MS = 1000;
/** A token refused so soon after it was asked for may count in a moment (`nbf`): the clocks of two servers differ. */
export const YOUNG_MS = 4000;
const COMPACT_JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Thrown by `getToken`, or its promise rejected with it: nobody is signed in, and the client closes. */
export class SignedOutError extends Error {
  override readonly name = 'SignedOutError';
}

/**
 * Whether something thrown says that nobody is signed in. It goes by the name: an application may have two copies of
 * this package, or an error of its own.
 */
export function isSignedOut(thrown: unknown): boolean {
  return (thrown as Error | undefined)?.name === 'SignedOutError';
}

/** Keeps the application's token from one attempt to the next, until it is of no more use. */
export function createTokens(getToken: GetToken) {
  let kept: string | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<string> | undefined;
  /** Of the gap, or of the answer. */
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** In milliseconds, since the application was last asked. */
  const age = () => monotonicMs() - askedAt;

  async function ask(): Promise<string> {
    try {
      const gapMs = LEAST_GAP_MS - age();
      if (gapMs > 0) {
        await new Promise((resolve) => {
          timer = setTimeout(resolve, gapMs);
        });
      }
      askedAt = monotonicMs();
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('getToken took too long.')), TOKEN_LIMIT_MS);
      });
      const given = await Promise.race([getToken(), late]);
      if (given === null) throw new SignedOutError();
      const token = String(given).trim();
      // Perhaps the page of a proxy whose backend is away.
      if (!COMPACT_JWT.test(token)) throw new Error('What getToken gave is no JWT.');
      kept = token;
      return token;
    } catch (error) {
      if (isSignedOut(error)) kept = undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    age,
    /** The token kept, or where there is none but the one that is `spent`, the application's next: the same for all who wait. */
    async get(spent?: string): Promise<string> {
      if (kept !== undefined && kept !== spent) return kept;
      // Not in `ask` itself, which may be through before it is kept here.
      asking ??= ask().finally(() => {
        asking = undefined;
      });
      return asking;
    },
    /** Nobody waits for one any more: who did hears no more of it. */
    stop(): void {
      clearTimeout(timer);
    },
    /** Lets go of the token, unless it is worth another try. */
    refused(code: string): void {
      if ((code === 'TOKEN_EXPIRED' || isFinal(code) !== undefined) && (code !== 'UNAUTHENTICATED' || age() > YOUNG_MS))
        kept = undefined;
    },
  };
}
