import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { LRUCache } from 'lru-cache';
import type { Config } from '../../config.ts';
import { httpErrorBody, type RollcallError, retryAfterSeconds } from '../../errors.ts';
import type { clientAddress } from '../client-address.ts';
import { networkOf } from '../client-address.ts';
import { WINDOW_MS } from '../limit.ts';
import type { Limits } from '../limits.ts';

/** From an address that is over its limits so many handshakes in a window are told so; the rest is not let in to hear it. */
const TOLD_WHY = 100;
const REMEMBERED = 20_000;

type Decide = (error: string | null | undefined, allowed: boolean) => void;

export interface Door {
  /** For Engine.IO: whether a connection is made at all, decided on its first request, before a socket is opened for it. */
  allowRequest(request: IncomingMessage, decide: Decide): void;
  /** Stands before Engine.IO, to which even a refused WebSocket is a request to be read. */
  guard(http: Server): void;
}

export function createDoor(
  config: Pick<Config, 'corsOrigins' | 'trustProxy'>,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): Door {
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
      if (!isAllowedOrigin(request, config)) decide('This origin is not allowed.', false);
      // Whoever asks for an upgrade has passed the guard.
      else if (request.headers.upgrade === undefined && turnedAway(request)) decide('Too many connections.', false);
      else decide(null, true);
    },
    guard(http) {
      const inside = http.listeners('upgrade');
      http.removeAllListeners('upgrade');
      http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        // With a `sid` it is a connection that was let in already.
        const known = /[?&]sid=/.test(request.url ?? '');
        const refusal = known ? null : turnedAway(request);
        const letIn = () => {
          // The answer and Engine.IO's first packet go out with one call to the system.
          socket.cork();
          setImmediate(() => socket.uncork());
          for (const listener of inside) listener.call(http, request, socket, head);
        };
        if (refusal) turnAway(socket, refusal);
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

function turnAway(socket: Duplex, refusal: RollcallError): void {
  const body = JSON.stringify(httpErrorBody(refusal));
  socket.on('error', () => {});
  socket.write(
    `HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `Retry-After: ${retryAfterSeconds(refusal) ?? 1}\r\nConnection: close\r\n\r\n${body}`,
  );
  socket.destroy();
}

/**
 * A browser says which site opens the connection, and asks nobody for leave before it does: a WebSocket knows no CORS.
 * Whatever sends no origin is no browser.
 */
export function isAllowedOrigin(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { corsOrigins, trustProxy }: Pick<Config, 'corsOrigins' | 'trustProxy'>,
): boolean {
  const { origin, host } = headers;
  if (origin === undefined || corsOrigins.includes('*')) return true;
  const url = URL.parse(origin);
  if (url === null || url.host === '') return false;
  if (corsOrigins.includes(url.origin)) return true;
  const forwarded = trustProxy === 0 ? undefined : [headers['x-forwarded-host'] ?? []].flat()[0];
  // The scheme is left out: behind a proxy that ends TLS it is known to the browser alone.
  return [host, forwarded].some((own) => own !== undefined && URL.parse(`${url.protocol}//${own}`)?.host === url.host);
}
