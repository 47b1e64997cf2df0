import { closeSocket } from './closing.ts';
import type { PresenceSocket } from './types.ts';

const AHEAD_MS = 60_000;
/** The socket is closed between `exp` and 5 s later. */
const AFTER_MS = 1000;
const COARSE_FROM_MS = 10_000;
/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** A client whose token is watched. The functions are shared by all: there may be very many. */
export interface TokenBearer {
  readonly socket: PresenceSocket;
  tokenExpiresAt: number;
  tokenTimer: NodeJS.Timeout | undefined;
}

/**
 * Tells a client that its token is about to expire, and closes its socket when it has; with a fresh token anew. `expiresAt`
 * in ms of this machine's clock, by which tokens are judged.
 */
export function watchToken(bearer: TokenBearer, expiresAt: number): void {
  bearer.tokenExpiresAt = expiresAt;
  wait(bearer, expiresAt - AHEAD_MS, warn);
}

export function unwatchToken(bearer: TokenBearer): void {
  clearTimeout(bearer.tokenTimer);
}

function warn(bearer: TokenBearer): void {
  bearer.socket.emit('token_expiring', { expiresAt: new Date(bearer.tokenExpiresAt).toISOString() });
  wait(bearer, bearer.tokenExpiresAt + AFTER_MS, close);
}

function close({ socket }: TokenBearer): void {
  closeSocket(socket, 'token_expired');
}

function goOn(bearer: TokenBearer): void {
  watchToken(bearer, bearer.tokenExpiresAt);
}

function wait(bearer: TokenBearer, until: number, then: (bearer: TokenBearer) => void): void {
  clearTimeout(bearer.tokenTimer);
  const exact = until - Date.now();
  // To a second: Node keeps a list for each length of time, and there are many sockets.
  const left = exact > COARSE_FROM_MS ? Math.ceil(exact / 1000) * 1000 : exact;
  bearer.tokenTimer = setTimeout(left > LONGEST_MS ? goOn : then, Math.min(Math.max(left, 0), LONGEST_MS), bearer);
}
