import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { httpErrorBody, RollcallError, retryAfterSeconds } from '../../errors.ts';
import { networkOf } from '../../network.ts';
import type { Origins } from '../auth/origins.ts';
import type { clientAddress } from '../limits/client-address.ts';
import type { ConnectionLimit } from '../limits/connection-limit.ts';
import { WINDOW_MS } from '../limits/limit.ts';
import type { Limits } from '../limits/limits.ts';

/** From an address that is over its limits so many handshakes in a window are told so; the rest is not let in to hear it. */
const TOLD_WHY = 100;
const REMEMBERED = 20_000;

const FOREIGN = 'Pages of this origin may not connect: CORS_ORIGINS does not name it.';

const SOCKET_PATH = '/socket.io/';

const NO_SOCKETS = 'WebSockets are switched off here (SOCKET_TRANSPORTS).';
const OUTDATED = 'Engine.IO 4 is spoken here, as Socket.IO clients do from their version 3 on.';

/** Engine.IO's own codes. */
export const TRANSPORT_UNKNOWN = 0;
export const PROTOCOL_UNSUPPORTED = 5;

type Decide = (error: string | null | undefined, allowed: boolean) => void;

export interface Admission {
  /** For Engine.IO: whether a connection is made at all, decided on its first request, before a socket is opened for it. */
  allowRequest(request: IncomingMessage, decide: Decide): void;
  /**
   * Stands before Engine.IO, to which even a refused WebSocket is a request to be read. `refusedForGood` hears, with Engine.IO's codes
   * for it, of clients whose protocol is of the past (5) or whose transport is switched off (0): Engine.IO would refuse them
   * in the middle of a WebSocket, where nobody can read it.
   */
  attach(
    http: Server,
    connections: Pick<ConnectionLimit, 'upgrade'>,
    refusedForGood: (request: IncomingMessage, code: number) => void,
  ): void;
}

/** Whether a request is meant for Socket.IO's own upgrade; any other offer to upgrade is answered as if it were not made. */
export function asksForSocket({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket' && url.startsWith(SOCKET_PATH);
}

/** Makes what decides, before anything of Socket.IO is done for it, whether a connection may come. */
export function createAdmission(
  origins: Pick<Origins, 'mayAsk'>,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): Admission {
  const told = new LRUCache<string, number>({ max: REMEMBERED, ttl: WINDOW_MS, noUpdateTTL: true });
  const oneByOne = taking();
  /** null: come in, if only to be told why not. */
  const turnedAway = (request: IncomingMessage): RollcallError | null => {
    const address = addressOf(request);
    const flooding = limits.flooding(address);
    if (flooding === null) return null;
    const network = networkOf(address);
    const count = (told.get(network) ?? 0) + 1;
    told.set(network, count);
    return count > TOLD_WHY ? flooding : null;
  };
  return {
    allowRequest(request, decide) {
      // Whoever asks for a socket has passed `attach`.
      if (asksForSocket(request)) decide(null, true);
      else if (!origins.mayAsk(request)) decide(FOREIGN, false);
      else if (turnedAway(request)) decide('Too many connections.', false);
      else decide(null, true);
    },
    attach(http, connections, refusedForGood) {
      const inside = http.listeners('upgrade');
      http.removeAllListeners('upgrade');
      http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        // With a `sid` it is a connection that was let in already.
        const known = /[?&]sid=/.test(request.url ?? '');
        const refusal = connections.upgrade(request, socket) ? (known ? null : turnedAway(request)) : tooMany();
        const letIn = () => {
          for (const listener of inside) listener.call(http, request, socket, head);
        };
        if (refusal) turnAway(socket, refusal);
        else if (inside.length === 0) {
          refusedForGood(request, TRANSPORT_UNKNOWN);
          turnAway(socket, invalid(NO_SOCKETS));
        } else if (!/[?&]EIO=4(&|$)/.test(request.url ?? '')) {
          refusedForGood(request, PROTOCOL_UNSUPPORTED);
          turnAway(socket, invalid(OUTDATED));
        } else if (!origins.mayAsk(request)) turnAway(socket, new RollcallError('FORBIDDEN', { message: FOREIGN }));
        else if (!known && limits.isSuspicious(addressOf(request))) oneByOne(letIn);
        else letIn();
      });
    },
  };
}

/** Runs one in each turn of the event loop; what is let in is bounded by the limits of its address. */
function taking(): (work: () => void) => void {
  const waiting: (() => void)[] = [];
  const next = () => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(next);
  };
  return (work) => {
    if (waiting.push(work) === 1) setImmediate(next);
  };
}

const invalid = (message: string) => new RollcallError('INVALID_REQUEST', { message });

function tooMany(): RollcallError {
  const message = 'Too many connections of this address are open.';
  return new RollcallError('RATE_LIMITED', { message, retryAfterMs: WINDOW_MS });
}

function turnAway(socket: Duplex, refusal: RollcallError): void {
  const { error, ...named } = httpErrorBody(refusal);
  const body = JSON.stringify({ error, ...named });
  const wait = retryAfterSeconds(refusal);
  socket.on('error', () => {});
  socket.write(
    `HTTP/1.1 ${refusal.statusCode} ${error}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `${wait === undefined ? '' : `Retry-After: ${wait}\r\n`}Connection: close\r\n\r\n${body}`,
  );
  socket.destroy();
}

/** Has the answer to an upgrade and Engine.IO's first packet go out with one call to the system. */
export function sendTogether(_headers: unknown, { socket, headers }: IncomingMessage): void {
  if (headers.upgrade === undefined) return;
  socket.cork();
  setImmediate(() => socket.uncork());
}
