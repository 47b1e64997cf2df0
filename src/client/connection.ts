import { io as connectSocket } from 'socket.io-client';
import type { Ready, SessionClosed, SocketError } from '../protocol/socket.ts';
import { readAddress } from './address.ts';
import { monotonicMs } from './clock.ts';
import { createInquiry } from './no-socket.ts';
import { createSource } from './observable.ts';
import { isFinal, PresenceError, toldError, toPresenceError } from './presence-error.ts';
import { createTokens, type GetToken, isSignedOut, YOUNG_MS } from './tokens.ts';
import type { ClosedReason, ConnectionState } from './types.ts';
import type { Part, PresenceSocket, Request } from './wire.ts';

const ANSWER_LIMIT_MS = 10_000;
/** From the attempt to `ready`. Socket.IO's own limit lies beyond it. */
const READY_LIMIT_MS = 20_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** Where somebody has to do something before it can go well. */
const LONGEST_DELAY_REFUSED_MS = 300_000;
/** A connection that lived that long starts the back-off anew when it is lost. */
const STEADY_AFTER_MS = 10_000;
/** After waking up: time for a heartbeat to be allowed and answered. A server that says nothing is not there any more. */
const PROBE_LIMIT_MS = 10_000;
/** So many attempts that came to nothing are looked into; fewer are a server that restarts. */
const LOOK_INTO = 2;
/** A token is renewed so long before its end, or a third of its life where that is less. */
const RENEW_AHEAD_MS = 60_000;
const RENEW_AGAIN_MS = 1000;

export interface ConnectionOptions {
  url: string;
  getToken: GetToken;
  io?: typeof connectSocket | undefined;
}

interface Pause {
  error?: PresenceError;
  /** The server spreads its clients itself. */
  exactMs?: number | undefined;
  /** The server says when it is of use at the earliest. */
  leastMs?: number | undefined;
  atOnce?: boolean | undefined;
}

interface Hooks extends Part {
  ready(ready: Ready, socket: PresenceSocket): void;
  connected(ready: Ready): void;
  lost(): void;
  ping(): void;
  report(error: PresenceError): void;
}

const noAnswer = () => new PresenceError('TIMEOUT', 'The server did not answer.');

/**
 * One connection that is kept up. States: closed → connecting → connected → (lost) reconnecting → connected …, and
 * closed again for good when we or the server say so. Every attempt has a socket of its own; what an abandoned one still
 * says is not listened to.
 */
export function createConnection(options: ConnectionOptions, hooks: Hooks) {
  const state = createSource<ConnectionState>({ status: 'closed', reason: 'not_started' });
  const address = readAddress(options.url);
  // Anew with every start: whoever connects next may be somebody else.
  let tokens = createTokens(options.getToken);
  /** What the server knows us by. */
  let inForce: string;
  let renewal: ReturnType<typeof setTimeout> | undefined;
  /** Anew with every start and every connection. */
  let inquiry = newInquiry();
  /** Of the monotonic clock. */
  let serverAheadMs = Date.now() - monotonicMs();
  let socket: PresenceSocket | undefined;
  /** Changes with every start, stop and attempt, so that what comes late can tell. */
  let attempt = 0;
  let failures = 0;
  /** For `ready`, for the next attempt, or for a word of the server after waking up. */
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Waiting for the next attempt by our own back-off, which good news may shorten, not as told by the server. */
  let mayHurry = false;
  let openedAt = 0;
  let heardAt = 0;
  let farewell: SessionClosed | undefined;

  async function open(): Promise<void> {
    abandon();
    const mine = attempt;
    let token: string;
    try {
      token = await tokens.get();
    } catch (thrown) {
      if (mine !== attempt) return;
      if (isSignedOut(thrown)) return end('signed_out');
      const error = toPresenceError(thrown);
      hooks.report(error);
      return retry({ error });
    }
    if (mine !== attempt) return;
    inForce = token;
    const opened: PresenceSocket = (options.io ?? connectSocket)(address.server, {
      path: address.path(failures),
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      timeout: 2 * READY_LIMIT_MS,
      auth: { ...hooks.handshake(), token },
    });
    socket = opened;
    openedAt = monotonicMs();
    farewell = undefined;
    timer = setTimeout(() => noSocket(noAnswer(), true), READY_LIMIT_MS);
    opened.io.engine.on('packet', () => {
      heardAt = monotonicMs();
    });
    opened.io.on('ping', hooks.ping);
    opened.on('ready', (ready) => isReady(ready, opened));
    opened.on('session_closed', (closed) => {
      farewell = closed;
    });
    opened.on('token_expiring', ({ expiresAt }) => {
      const endsAt = Date.parse(expiresAt);
      const leftMs = endsAt - now();
      // Some servers tell of it too early.
      renewIn(leftMs - Math.min(RENEW_AHEAD_MS, (leftMs + tokens.age()) / 3), opened, endsAt);
    });
    opened.on('connect_error', (error: Error & { data?: SocketError }) => refused(error));
    opened.on('disconnect', lost);
  }

  function isReady(ready: Ready, opened: PresenceSocket): void {
    clearTimeout(timer);
    openedAt = monotonicMs();
    inquiry = newInquiry();
    serverAheadMs = Date.parse(ready.serverTime) - openedAt;
    const { userId, sessionId, heartbeatIntervalMs, ttlMs } = ready;
    const clockOffsetMs = now() - Date.now();
    // First the picture, then the news that there is one, then whatever else we want to know.
    hooks.ready(ready, opened);
    if (opened !== socket) return;
    state.set({ status: 'connected', userId, sessionId, heartbeatIntervalMs, ttlMs, clockOffsetMs });
    if (opened === socket) hooks.connected(ready);
  }

  function refused({ data, message: reason }: Error & { data?: SocketError }): void {
    if (!data) {
      noSocket(new PresenceError('NOT_CONNECTED', reason));
      return;
    }
    const error = toldError(data);
    const { code, retryAfterMs } = error;
    const mayGoWell = hooks.refused(error);
    tokens.refused(code);
    if (isFinal(code) && !mayGoWell) end('refused', error);
    else retry({ error, leastMs: retryAfterMs, atOnce: code === 'TOKEN_EXPIRED' && tokens.age() > YOUNG_MS });
  }

  /** An attempt that came to nothing without a word of the server's. To have hung was pause enough. */
  function noSocket(error: PresenceError, hung = false): void {
    const { finding, look } = inquiry;
    const isWorthALook = hung || failures >= LOOK_INTO;
    retry({ error: finding() ?? error, atOnce: hung });
    if (isWorthALook) void look(hung);
  }

  function newInquiry() {
    const mine = createInquiry(address.http, (finding) => {
      const { status } = state.get();
      if (mine !== inquiry || status === 'connected' || status === 'closed') return;
      state.set({ status, error: finding });
      hooks.report(finding);
    });
    return mine;
  }

  function lost(reason: string): void {
    if (monotonicMs() - openedAt >= STEADY_AFTER_MS) failures = 0;
    const { reason: said, reconnect, afterMs } = farewell ?? {};
    if (said === 'token_expired') tokens.refused('TOKEN_EXPIRED');
    if (said && !reconnect) end(said === 'logout' || said === 'replaced' ? said : 'disconnected');
    else if (!said && reason === 'io server disconnect') end('disconnected');
    else retry({ exactMs: afterMs, atOnce: said === 'token_expired' && failures === 0 });
  }

  function retry({ error, exactMs, leastMs, atOnce }: Pause): void {
    const before: { status: string; error?: PresenceError | undefined } = state.get();
    const isSlow = error && isFinal(error.code) === false;
    abandon();
    // A part of the delay is chance, so that those who were cut off together do not come back together.
    const longest = Math.min(isSlow ? LONGEST_DELAY_REFUSED_MS : LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
    const backOffMs = atOnce ? 0 : longest * (0.5 + Math.random() / 2);
    failures += 1;
    mayHurry = exactMs === undefined && leastMs === undefined;
    timer = setTimeout(open, exactMs ?? backOffMs + (leastMs ?? 0));
    // Last: a listener may close us.
    state.set({ status: before.status === 'connecting' ? 'connecting' : 'reconnecting', error });
    // The same again is no news.
    if (isSlow && error.code !== before.error?.code) hooks.report(error);
  }

  function end(reason: ClosedReason, error?: PresenceError): void {
    abandon();
    tokens.stop();
    state.set({ status: 'closed', reason, error });
    if (error) hooks.report(error);
  }

  /** Lets go of the socket, its timers and whatever is still on its way. */
  function abandon(): void {
    attempt += 1;
    clearTimeout(timer);
    mayHurry = false;
    clearTimeout(renewal);
    const old = socket;
    socket = undefined;
    if (!old) return;
    old.off();
    old.io.off('ping', hooks.ping);
    old.disconnect();
    hooks.lost();
  }

  function renewIn(ms: number, of: PresenceSocket, endsAt: number): void {
    clearTimeout(renewal);
    // At once, where a hidden page would wait long for a timer.
    if (ms > 0) renewal = setTimeout(renew, ms, of, endsAt);
    else void renew(of, endsAt);
  }

  async function renew(of: PresenceSocket, endsAt: number): Promise<void> {
    try {
      const token = await tokens.get(inForce);
      if (of !== socket) return;
      if (token !== inForce) {
        await request('authenticate', { token });
        inForce = token;
        return;
      }
    } catch (thrown) {
      if (of !== socket) return;
      if (isSignedOut(thrown)) return end('signed_out');
      const error = toPresenceError(thrown);
      tokens.refused(error.code);
      hooks.report(error);
    }
    // Until there is one, or the server closes.
    renewIn(Math.max((endsAt - now()) / 3, RENEW_AGAIN_MS), of, endsAt);
  }

  /** The server's time, in milliseconds since 1970. */
  function now(): number {
    return monotonicMs() + serverAheadMs;
  }

  const request: Request = async (event, payload) => {
    if (!socket || state.get().status !== 'connected') {
      throw new PresenceError('NOT_CONNECTED', 'Not connected to the server.');
    }
    const answer = await socket
      .timeout(ANSWER_LIMIT_MS)
      .emitWithAck(event, payload)
      .catch(() => {
        throw noAnswer();
      });
    if (!answer.ok) throw toldError(answer.error);
    return answer;
  };

  return {
    state,
    now,
    request,
    start(): void {
      if (state.get().status !== 'closed') return;
      failures = 0;
      inquiry = newInquiry();
      tokens = createTokens(options.getToken);
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
        const since = monotonicMs();
        clearTimeout(timer);
        timer = setTimeout(() => heardAt < since && retry({}), PROBE_LIMIT_MS);
      } else if (mayHurry) {
        void open();
      }
    },
  };
}
