import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Link } from './link.ts';

/**
 * Links in front of one server that can be cut one by one: each client has its line, which is named by `?line=` in the
 * address that it connects to.
 */
export interface Cable {
  /** The server's address as seen through the line. */
  url(line: string): string;
  cut(line: string): void;
  mend(line: string): void;
  /** Both sides of the line's connections see them break at once. */
  break(line: string): void;
  /** Connections from now on lead to another server. */
  lead(serverUrl: string): void;
  close(): Promise<void>;
}

/** How long a connection attempt over a cut line takes to fail. */
const ATTEMPT_MS = 500;

export async function layCable(serverUrl: string): Promise<Cable> {
  let target = new URL(serverUrl);
  const links = new Map<string, Link>();
  const waiting = new Set<Socket>();

  function linkOf(line: string): Link {
    const link = links.get(line) ?? new Link(Number(target.port), target.hostname);
    links.set(line, link);
    return link;
  }

  const server = createServer({ noDelay: true }, (near) => {
    waiting.add(near);
    near.on('error', () => near.destroy());
    near.once('close', () => waiting.delete(near));
    // The name of the line stands in the request line, which comes in one piece.
    near.once('data', (first) => {
      near.pause();
      const link = linkOf(/[?&]line=([^& ]*)/.exec(first.toString('latin1'))?.[1] ?? '');
      if (link.isCut) {
        setTimeout(() => near.destroy(), ATTEMPT_MS);
        return;
      }
      waiting.delete(near);
      link.take(near, first);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: (line) => `http://127.0.0.1:${address.port}/?line=${encodeURIComponent(line)}`,
    cut: (line) => linkOf(line).cut(),
    mend: (line) => linkOf(line).mend(),
    break: (line) => linkOf(line).break(),
    lead(otherUrl) {
      target = new URL(otherUrl);
      for (const link of links.values()) link.lead(Number(target.port));
    },
    async close() {
      for (const link of links.values()) link.break();
      for (const near of waiting) near.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
