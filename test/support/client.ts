import { setTimeout as delay } from 'node:timers/promises';
import { SignJWT } from 'jose';
import { io, type Socket } from 'socket.io-client';
import type { ClientToServerEvents } from '../../src/protocol/client-events.ts';
import type {
  Ready,
  ServerToClientEvents,
  SessionClosed,
  SocketError,
  StatusChange,
  TokenExpiring,
} from '../../src/protocol/socket.ts';
import { JWT_SECRET } from './deployment.ts';

/** Signs a token as a host application would; `expiresInSeconds` may be negative. */
export async function tokenFor(
  userId: string,
  { expiresInSeconds = 3600, ...claims }: { expiresInSeconds?: number } & Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(userId)
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInSeconds)
    .sign(new TextEncoder().encode(JWT_SECRET));
}

/** A change as it came, with the time at which it did (performance.now()). */
export type Heard = StatusChange & { heardAt: number };

export const isActive = (change: { status: string }) => change.status === 'active';
export const isInactive = (change: { status: string }) => change.status === 'inactive';

/** A plain Socket.IO client that keeps everything it was told. */
export class TestClient {
  readonly socket: Socket<ServerToClientEvents, ClientToServerEvents>;
  readonly heard: Heard[] = [];
  /** How many changes each frame carried. */
  readonly frames: { event: 'single' | 'batch'; changes: number }[] = [];
  readonly closed: SessionClosed[] = [];
  readonly expiring: TokenExpiring[] = [];
  readonly disconnects: string[] = [];
  ready: Ready | null = null;
  #listeners = new Set<() => void>();

  constructor(
    url: string,
    auth: Record<string, unknown>,
    options: {
      reconnection?: boolean;
      transports?: string[];
      query?: Record<string, string>;
      extraHeaders?: Record<string, string>;
    } = {},
  ) {
    this.socket = io(url, {
      auth,
      transports: options.transports ?? ['websocket'],
      forceNew: true,
      reconnection: options.reconnection ?? false,
      ...(options.query ? { query: options.query } : {}),
      ...(options.extraHeaders ? { extraHeaders: options.extraHeaders } : {}),
    });
    this.socket.on('ready', (ready) => {
      this.ready = ready;
      this.#changed();
    });
    this.socket.on('user_status_change', (change) => this.#hear('single', [change]));
    this.socket.on('user_status_changes', ({ changes }) => this.#hear('batch', changes));
    this.socket.on('token_expiring', (expiring) => {
      this.expiring.push(expiring);
      this.#changed();
    });
    this.socket.on('session_closed', (closed) => {
      this.closed.push(closed);
      this.#changed();
    });
    this.socket.on('disconnect', (reason) => {
      this.disconnects.push(reason);
      this.#changed();
    });
  }

  /** Connects and waits for `ready`; rejects with what the server refused it with. */
  static async connect(
    url: string,
    userId: string,
    { token, reconnection = false, ...auth }: { token?: string; reconnection?: boolean } & Record<string, unknown> = {},
  ): Promise<TestClient> {
    const handshake = { token: token ?? (await tokenFor(userId)), ...auth };
    for (let attempt = 1; ; attempt++) {
      try {
        return await new TestClient(url, handshake, { reconnection }).welcomed();
      } catch (error) {
        // A pressed process asks newcomers to come again, and so they do.
        if (!(error instanceof Refused) || error.retryAfterMs === undefined || attempt === 8) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
  }

  /** Resolves once it is let in; rejects with what the server refused it with. */
  async welcomed(): Promise<this> {
    const { socket } = this;
    if (this.ready) return this;
    await new Promise<void>((resolve, reject) => {
      const stopWaiting = () => {
        socket.off('connect_error', refused);
        socket.off('disconnect', cutOff);
        socket.off('ready', letIn);
      };
      const letIn = () => {
        stopWaiting();
        resolve();
      };
      const refused = (error: Error & { data?: SocketError }) => {
        stopWaiting();
        socket.disconnect();
        reject(new Refused(error));
      };
      // A process that goes may close the transport before the handshake is answered.
      const cutOff = (reason: string) => refused(new Error(`closed before it was let in: ${reason}`));
      socket.once('ready', letIn);
      socket.once('connect_error', refused);
      socket.once('disconnect', cutOff);
    });
    return this;
  }

  get sessionId(): string {
    return this.ready?.sessionId ?? '';
  }

  /** What was heard of one user. */
  of(userId: string): Heard[] {
    return this.heard.filter((change) => change.userId === userId);
  }

  /** Waits until it has heard a change of the user that fits (one that has come already counts from `after` on). */
  async hears(userId: string, fits: (change: Heard) => boolean, { after = 0, withinMs = 10_000 } = {}): Promise<Heard> {
    return this.until(() => this.of(userId).slice(after).find(fits), `a change of ${userId}`, withinMs);
  }

  async isClosed(withinMs = 10_000): Promise<SessionClosed> {
    return this.until(() => this.closed[0], 'session_closed', withinMs);
  }

  async isDisconnected(withinMs = 10_000): Promise<string> {
    return this.until(() => this.disconnects[0], 'a disconnect', withinMs);
  }

  /** The statuses it was told of one user, in order. */
  statuses(userId: string): string[] {
    return this.of(userId).map((change) => change.status);
  }

  async until<T>(look: () => T | undefined, what: string, withinMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(check);
        reject(new Error(`Waited ${withinMs} ms for ${what}; heard ${JSON.stringify(this.heard)}`));
      }, withinMs);
      const check = () => {
        const found = look();
        if (found === undefined) return;
        clearTimeout(timer);
        this.#listeners.delete(check);
        resolve(found);
      };
      this.#listeners.add(check);
      check();
    });
  }

  beat(state?: 'active' | 'idle') {
    return this.socket.emitWithAck('heartbeat', state === undefined ? undefined : { state });
  }

  /** A heartbeat that counts, also where one of the test's own timer came just before. */
  async beatAnew() {
    const beat = () => this.socket.timeout(3000).emitWithAck('heartbeat', undefined);
    const answer = await beat();
    if (answer.ok || answer.error.code !== 'HEARTBEAT_TOO_SOON') return answer;
    await delay(answer.error.retryAfterMs);
    return beat();
  }

  watch(...userIds: string[]) {
    return this.socket.emitWithAck('watch', { userIds });
  }

  /** A goodbye. */
  leave(): void {
    this.socket.disconnect();
  }

  /** The network is gone: nothing is said any more, and nothing is answered. The connection stays open. */
  fallSilent(): void {
    const { engine } = this.socket.io;
    // Without its transport's listeners the client neither reads pings nor answers them.
    engine.transport.removeAllListeners('packet');
  }

  #hear(event: 'single' | 'batch', changes: StatusChange[]): void {
    this.frames.push({ event, changes: changes.length });
    const heardAt = performance.now();
    for (const change of changes) this.heard.push({ ...change, heardAt });
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** What the server refused a connection with. */
export class Refused extends Error {
  readonly code: string;
  readonly retryAfterMs: number | undefined;
  readonly data: unknown;

  constructor(error: Error & { data?: SocketError }) {
    super(error.message);
    this.data = error.data;
    this.code = error.data?.code ?? 'none';
    this.retryAfterMs = error.data?.retryAfterMs;
  }
}

/** A REST call; `token` null sends none. */
export async function rest(
  url: string,
  method: string,
  path: string,
  { token, body }: { token?: string | null; body?: unknown } = {},
) {
  const response = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}
