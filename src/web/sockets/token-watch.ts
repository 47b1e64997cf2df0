import { CLOCK_SKEW_MS } from '../auth/auth.ts';
import { closeSocket } from './closing.ts';
import type { PresenceSocket } from './types.ts';

/** A token is announced to end so long ahead, or when a third of what it had left is still to come. */
const AHEAD_MS = 60_000;
/** Whoever is given one short token after the other is not asked for the next one more often. */
const ASKED_EVERY_MS = 1000;
/**
 * A socket is closed before the moment from which its token opens nothing any more, by less than what a handshake has to
 * have left until then. So nobody is let in to be closed at once, and who was closed does not get in with the same token. A process
 * that is busy has some time to be late in.
 */
const CLOSED_BEFORE_MS = 400;
export const LEAST_LEFT_MS = 1000;
/** Tokens that were made together end together; and whoever is handed dead ones comes and goes no faster than that. */
const BACK_AFTER_MS = 1000;
/** To a second, or half of one: Node keeps a list for each length of time, and there are many sockets. */
const COARSE_FROM_MS = 10_000;
const later = (ms: number) => (ms > COARSE_FROM_MS ? Math.ceil(ms / 1000) * 1000 : ms);
const sooner = (ms: number) => (ms > COARSE_FROM_MS ? Math.floor(ms / 500) * 500 : ms);
/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** A client whose token is watched. The functions are shared by all: there may be very many. */
export interface TokenBearer {
  readonly socket: PresenceSocket;
  tokenExpiresAt: number;
  tokenTimer: NodeJS.Timeout | undefined;
}

/**
 * Tells a client once that its token is about to expire, and closes its socket when it has; with a fresh token anew.
 * `expiresAt` in ms of this machine's clock, by which tokens are judged.
 */
export function watchToken(bearer: TokenBearer, expiresAt: number): void {
  // Whoever has no other token than that hands it in again: it is watched already, and perhaps announced.
  if (bearer.tokenExpiresAt === expiresAt) return;
  bearer.tokenExpiresAt = expiresAt;
  waitToAnnounce(bearer, announcedAt(expiresAt, Date.now()));
}

/** Ends `watchToken` for a client that is gone. */
export function unwatchToken(bearer: TokenBearer): void {
  clearTimeout(bearer.tokenTimer);
}

/** When to announce a token that is handed in now; all in ms since 1970. */
function announcedAt(expiresAt: number, now: number): number {
  const soonest = Math.min(ASKED_EVERY_MS, (closedAt(expiresAt) - now) / 2);
  return Math.max(expiresAt - Math.min(AHEAD_MS, (expiresAt - now) / 3), now + soonest);
}

function closedAt(expiresAt: number): number {
  return expiresAt + CLOCK_SKEW_MS - CLOSED_BEFORE_MS;
}

function waitToAnnounce(bearer: TokenBearer, at: number): void {
  wait(bearer, later(at - Date.now()), announce);
}

function announce(bearer: TokenBearer): void {
  bearer.socket.emit('token_expiring', { expiresAt: new Date(bearer.tokenExpiresAt).toISOString() });
  wait(bearer, sooner(closedAt(bearer.tokenExpiresAt) - Date.now()), close);
}

function close({ socket }: TokenBearer): void {
  closeSocket(socket, 'token_expired', Math.round(BACK_AFTER_MS * (1 + Math.random())));
}

/** A token that has weeks to go is announced as long ahead as any other. */
function goOn(bearer: TokenBearer): void {
  waitToAnnounce(bearer, bearer.tokenExpiresAt - AHEAD_MS);
}

function wait(bearer: TokenBearer, ms: number, then: (bearer: TokenBearer) => void): void {
  clearTimeout(bearer.tokenTimer);
  bearer.tokenTimer = setTimeout(ms > LONGEST_MS ? goOn : then, Math.min(Math.max(ms, 0), LONGEST_MS), bearer);
}
