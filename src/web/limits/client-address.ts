import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Config } from '../../config/config.ts';

type Asked = Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string | undefined } };

/**
 * A function that says whose address counts for a request, for REST and sockets alike. Each proxy appends the address
 * it was asked from, so only as many entries are believed, from the end, as there are proxies to be believed.
 */
export function clientAddress(trustProxy: Config['trustProxy']): (request: Asked) => string {
  return ({ headers, socket }) => {
    if (trustProxy === 0) return socket.remoteAddress ?? '';
    let address: string | undefined;
    const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',').reverse();
    let hops = trustProxy === true ? forwarded.length : trustProxy;
    for (const entry of forwarded) {
      if (hops-- <= 0) break;
      const named = withoutPort(entry.trim());
      // What is no address was not written by a proxy: the last believable one stands for it.
      if (isIP(named) === 0) break;
      address = named;
    }
    // Asked of the system, so only where nobody named another.
    return address ?? socket.remoteAddress ?? '';
  };
}

/** Some proxies name the port as well: `192.0.2.1:52044`, `[2001:db8::1]:52044`, and the brackets alone. */
function withoutPort(entry: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(entry) ?? [];
  return bracketed ?? plain ?? entry;
}
