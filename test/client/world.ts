import { createPresenceClient, type PresenceClient, type PresenceClientOptions } from '../../src/client/index.ts';
import type { ConnectionState, Observable, Presence } from '../../src/client/types.ts';
import { tokenFor } from '../support/client.ts';

/** The clients of a test, closed at its end; `create` makes them, where another version of the SDK is to be tried. */
export class Clients {
  readonly #clients: PresenceClient[] = [];
  readonly #create: typeof createPresenceClient;

  constructor(create = createPresenceClient) {
    this.#create = create;
  }

  /** A connected client, whose token lasts for the test unless told otherwise. */
  connect(url: string, userId: string, options: Partial<PresenceClientOptions> = {}): PresenceClient {
    const client = this.#create({ url, getToken: () => tokenFor(userId), ...options });
    client.onError(() => {});
    client.connect();
    this.#clients.push(client);
    return client;
  }

  close(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }
}

/** Resolves with the first value that fits, the current one included. */
export function until<T, F extends T>(
  source: Observable<T>,
  fits: (value: T) => value is F,
  withinMs?: number,
): Promise<F>;
export function until<T>(source: Observable<T>, fits: (value: T) => boolean, withinMs?: number): Promise<T>;
export function until<T>(source: Observable<T>, fits: (value: T) => boolean, withinMs = 15_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = source.subscribe(look);
    const timer = setTimeout(() => {
      end();
      reject(new Error(`Still ${JSON.stringify(source.get())} after ${withinMs} ms`));
    }, withinMs);
    function look(): void {
      const value = source.get();
      if (!fits(value)) return;
      clearTimeout(timer);
      end();
      resolve(value);
    }
    look();
  });
}

type In<S extends ConnectionState['status']> = Extract<ConnectionState, { status: S }>;

export function untilState<S extends ConnectionState['status']>(
  client: PresenceClient,
  status: S,
  withinMs?: number,
): Promise<In<S>> {
  return until(client.connection, (state): state is In<S> => state.status === status, withinMs);
}

/** One user as a client sees them, watched for as long as somebody listens. */
export function presenceOf(client: PresenceClient, userId: string): Observable<Presence | undefined> {
  return { get: () => client.get(userId), subscribe: (listener) => client.watch([userId], listener) };
}

export function untilSeen(client: PresenceClient, userId: string, status: Presence['status'], withinMs?: number) {
  return until(presenceOf(client, userId), (presence) => presence?.status === status, withinMs);
}
