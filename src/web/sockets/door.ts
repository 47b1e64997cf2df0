import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Config } from '../../config.ts';
import type { clientAddress } from '../client-address.ts';
import { networkOf } from '../client-address.ts';
import { WINDOW_MS } from '../limit.ts';
import type { Limits } from '../limits.ts';

/** From an address that is over its limits so many handshakes in a window are told so; the rest is not let in to hear it. */
const TOLD_WHY = 100;
const REMEMBERED = 20_000;

type Decide = (error: string | null | undefined, allowed: boolean) => void;

/** Whether a connection is made at all, decided on its first request, before a socket is opened for it. */
export function createDoor(
  config: Pick<Config, 'corsOrigins' | 'trustProxy'>,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): (request: IncomingMessage, decide: Decide) => void {
  const told = new LRUCache<string, number>({ max: REMEMBERED, ttl: WINDOW_MS, noUpdateTTL: true });
  return (request, decide) => {
    if (!isAllowedOrigin(request, config)) return decide('This origin is not allowed.', false);
    const address = addressOf(request);
    if (!limits.isFlooding(address)) return decide(null, true);
    const network = networkOf(address);
    const count = (told.get(network) ?? 0) + 1;
    told.set(network, count);
    if (count > TOLD_WHY) decide('Too many connections.', false);
    else decide(null, true);
  };
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
