import { io as connectSocket, type Socket } from 'socket.io-client';
import type { Answer, ClientEvent, Ready, SessionClosed, SocketError, TokenExpiring } from '../protocol/socket.ts';
import { createSource } from './observable.ts';
import { PresenceError, toPresenceError } from './presence-error.ts';
import { createTokens } from './tokens.ts';
import type { ClosedReason, ConnectionState } from './types.ts';

const ANSWER_LIMIT_MS = 10_000;
/** From the attempt to `ready`. */
const READY_LIMIT_MS = 20_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** A connection that lived that long starts the back-off anew when it is lost. */
const STEADY_AFTER_MS = 10_000;
/** After waking up: time for a heartbeat to be allowed and answered. A server that says nothing is not there any more. */
const PROBE_LIMIT_MS = 10_000;
const RENEW_AGAIN_MS = 5000;

/** Refusals that the same request would only get again. */
const FINAL_CODES = ['UNAUTHENTICATED', 'FORBIDDEN', 'INVALID_REQUEST', 'INVALID_USER_ID', 'TOO_MANY_SESSIONS'];

export interface ConnectionOptions {
  url: string;
  getToken: () => string | Promise<string>;
  io?: typeof connectSocket | undefined;
}

interface Hooks {
  /** What the handshake says beside the token. */
  handshake(): Record<string, unknown>;
  ready(ready: Ready, socket: Socket): void;
  connected(): void;
  lost(): void;
  ping(): void;
  tooManyWatched(error: PresenceError): void;
  report(error: PresenceError): void;
}

/**
 * One connection that is kept up. States: closed → connecting → connected → (lost) reconnecting → connected …, and
 * closed again for good when we or the server say so. Every attempt has a socket of its own; what an abandoned one still
 * says is not listened to.
 */
export function createConnection(options: ConnectionOptions, hooks: Hooks) {
  const state = createSource<ConnectionState>({ status: 'closed', reason: 'not_started' });
  const tokens = createTokens(options.getToken);
  let socket: Socket | undefined;
  /** Changes with every start, stop and attempt, so that what comes late can tell. */
  let attempt = 0;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Between two attempts: by our own back-off, which good news may shorten, or as told by the server. */
  let waiting: 'back-off' | 'told' | undefined;
  let openedAt = 0;
  let heardAt = 0;
  let farewell: SessionClosed | undefined;

  async function open(): Promise<void> {
    abandon();
    const mine = attempt;
    let fresh: boolean;
    let token: string;
    try {
      ({ token, fresh } = await tokens.current());
    } catch (thrown) {
      if (mine !== attempt) return;
      const error = toPresenceError(thrown, 'TOKEN_UNAVAILABLE');
      hooks.report(error);
      return retry({ error });
    }
    if (mine !== attempt) return;
    const opened = (options.io ?? connectSocket)(options.url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      auth: { ...hooks.handshake(), token },
    });
    socket = opened;
    openedAt = Date.now();
    farewell = undefined;
    timer = setTimeout(
      () => retry({ error: new PresenceError('TIMEOUT', 'The server did not answer.') }),
      READY_LIMIT_MS,
    );
    opened.io.engine.on('packet', () => {
      heardAt = Date.now();
    });
    opened.io.on('ping', hooks.ping);
    opened.on('ready', (ready: Ready) => isReady(ready, opened));
    opened.on('session_closed', (closed: SessionClosed) => {
      farewell = closed;
    });
    opened.on('token_expiring', (expiring: TokenExpiring) => void renew(opened, Date.parse(expiring.expiresAt)));
    opened.on('connect_error', (error: Error & { data?: SocketError }) => refused(error, fresh));
    opened.on('disconnect', lost);
  }

  function isReady(ready: Ready, opened: Socket): void {
    clearTimeout(timer);
    openedAt = Date.now();
    const { userId, sessionId, heartbeatIntervalMs, ttlMs } = ready;
    const clockOffsetMs = Date.parse(ready.serverTime) - openedAt;
    // First the picture, then the news that there is one, then whatever else we want to know.
    hooks.ready(ready, opened);
    if (opened !== socket) return;
    state.set({ status: 'connected', userId, sessionId, heartbeatIntervalMs, ttlMs, clockOffsetMs });
    if (opened === socket) hooks.connected();
  }

  function refused(error: Error & { data?: SocketError }, tokenWasFresh: boolean): void {
    const { code = 'NOT_CONNECTED', message = error.message, retryAfterMs } = error.data ?? {};
    const told = new PresenceError(code, message, retryAfterMs);
    if (code === 'TOO_MANY_WATCHED') hooks.tooManyWatched(told);
    // A kept token may be one whose key was replaced: worth one try with a new one.
    const final = FINAL_CODES.includes(code) && (tokenWasFresh || code !== 'UNAUTHENTICATED');
    if (code === 'TOKEN_EXPIRED' || code === 'UNAUTHENTICATED') tokens.drop();
    if (final) end('refused', told);
    else retry({ error: told, leastMs: retryAfterMs, atOnce: !tokenWasFresh && code === 'TOKEN_EXPIRED' });
  }

  function lost(reason: string): void {
    if (Date.now() - openedAt >= STEADY_AFTER_MS) failures = 0;
    const { reason: said, reconnect, afterMs } = farewell ?? {};
    if (said === 'token_expired') tokens.drop();
    if (said && !reconnect) end(said === 'logout' || said === 'replaced' ? said : 'disconnected');
    else if (!said && reason === 'io server disconnect') end('disconnected');
    else retry({ exactMs: afterMs, atOnce: said === 'token_expired' && failures === 0 });
  }

  interface Pause {
    error?: PresenceError;
    /** The server spreads its clients itself. */
    exactMs?: number | undefined;
    /** The server says when it is of use at the earliest. */
    leastMs?: number | undefined;
    atOnce?: boolean;
  }

  function retry({ error, exactMs, leastMs, atOnce }: Pause): void {
    const before = state.get().status;
    abandon();
    // A part of the delay is chance, so that those who were cut off together do not come back together.
    const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
    const backOffMs = atOnce ? 0 : longest * (0.5 + Math.random() / 2);
    failures += 1;
    waiting = exactMs === undefined && leastMs === undefined ? 'back-off' : 'told';
    timer = setTimeout(open, exactMs ?? backOffMs + (leastMs ?? 0));
    // Last: a listener may close us.
    state.set({ status: before === 'connecting' ? before : 'reconnecting', error });
  }

  function end(reason: ClosedReason, error?: PresenceError): void {
    abandon();
    // Whoever connects next may be somebody else.
    tokens.drop();
    state.set({ status: 'closed', reason, error });
    if (error) hooks.report(error);
  }

  /** Lets go of the socket, its timers and whatever is still on its way. */
  function abandon(): void {
    attempt += 1;
    clearTimeout(timer);
    waiting = undefined;
    const old = socket;
    socket = undefined;
    if (!old) return;
    old.off();
    old.io.off('ping', hooks.ping);
    old.disconnect();
    hooks.lost();
  }

  async function renew(of: Socket, expiresAt: number): Promise<void> {
    try {
      const token = await tokens.next();
      if (of !== socket) return;
      await request('authenticate', { token });
    } catch (thrown) {
      if (of !== socket) return;
      tokens.drop();
      hooks.report(toPresenceError(thrown, 'TOKEN_UNAVAILABLE'));
      if (Date.now() + RENEW_AGAIN_MS < expiresAt)
        setTimeout(() => of === socket && renew(of, expiresAt), RENEW_AGAIN_MS);
    }
  }

  /** Resolves with the server's acknowledgement. */
  function request(event: ClientEvent, payload: object): Promise<object> {
    const current = socket;
    if (!current || state.get().status !== 'connected') {
      return Promise.reject(new PresenceError('NOT_CONNECTED', 'There is no connection to the server.'));
    }
    return new Promise((resolve, reject) => {
      current.timeout(ANSWER_LIMIT_MS).emit(event, payload, (error: Error | null, answer: Answer) => {
        if (error) reject(new PresenceError('TIMEOUT', 'The server did not answer.'));
        else if (answer.ok) resolve(answer);
        else reject(new PresenceError(answer.error.code, answer.error.message, answer.error.retryAfterMs));
      });
    });
  }

  return {
    state,
    request,
    start(): void {
      if (state.get().status !== 'closed') return;
      failures = 0;
      state.set({ status: 'connecting' });
      void open();
    },
    /** Says goodbye. */
    stop(reason: ClosedReason): void {
      if (state.get().status !== 'closed') end(reason);
    },
    /** The device woke up, or the network is back: look at once whether the connection still lives. */
    wake(): void {
      const now = state.get();
      if (now.status === 'connected') {
        // An observer sends no heartbeat that would be answered.
        if (now.sessionId === null) return;
        const since = Date.now();
        const mine = attempt;
        setTimeout(() => {
          if (mine === attempt && heardAt < since) retry({});
        }, PROBE_LIMIT_MS);
      } else if (waiting === 'back-off') {
        void open();
      }
    },
  };
}
