import type { Rollcall } from '../backend/index.ts';

export interface StartRollcallOptions {
  /** Rollcall's folder. Default: ROLLCALL_HOME, else this folder or `../rollcall`. */
  home?: string | undefined;
  /** Settings of the service, such as `{ PRESENCE_TTL_SECONDS: '3' }`. Stores, address and key are its own. */
  settings?: Readonly<Record<string, string>> | undefined;
  /** What the service logs: nothing (default), what is wrong, or all. */
  logs?: 'none' | 'errors' | 'all' | undefined;
}

/** The real service, web and worker, on a Redis and a PostgreSQL that nobody else has. */
export interface TestRollcall {
  /** For `createPresenceClient`, and for whatever in the application asks for it. */
  readonly url: string;
  /** What tokens are signed with, as JWT_SECRET; for the application's own token route. */
  readonly secret: string;
  /** A token of an hour for a user, with further claims (`name`, `rooms`). */
  tokenFor(userId: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** A token of an hour for a backend; `presence:write` by default. */
  serviceToken(scope?: 'presence:read' | 'presence:write'): Promise<string>;
  /** All that a backend may ask and say, with a key. */
  readonly backend: Rollcall;
  /** Where its stores are, for a test that looks into them. */
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Ends it all; nothing is left. Harmless when repeated. */
  stop(): Promise<void>;
}

const HOUR_SECONDS = 3600;

/**
 * Starts the service for integration tests, in a few seconds; the first time it installs what Rollcall's folder lacks, which takes
 * a minute. It also ends when the process that started it does.
 */
export async function startRollcall(options: StartRollcallOptions = {}): Promise<TestRollcall> {
  // Only here: a page that has the fake has no processes.
  const [{ startServiceProcess }, { Rollcall, signServiceToken, signUserToken }] = await Promise.all([
    import('./service-process.ts'),
    import('../backend/index.ts'),
  ]);
  const { home, settings = {}, logs = 'none' } = options;
  const { url, secret, redisUrl, databaseUrl, stop } = await startServiceProcess({ home, settings, logs });
  const lasting = { key: secret, expiresInSeconds: HOUR_SECONDS };
  let stopped: Promise<void> | undefined;
  return {
    url,
    secret,
    redisUrl,
    databaseUrl,
    backend: new Rollcall({ url, key: secret }),
    tokenFor: (userId, claims = {}) => signUserToken({ ...lasting, userId, claims }),
    serviceToken: (scope = 'presence:write') => signServiceToken({ ...lasting, scope }),
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
