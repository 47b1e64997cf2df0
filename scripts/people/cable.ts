import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy in front of the server, whose lines can be cut one by one. A cut line carries nothing and tells nobody:
 * both sides keep their connection open, as they do when a network is lost or a lid is closed. What was sent meanwhile
 * arrives when the line is mended, unless its side has given up.
 *
 * A line is named by `?line=` in the address that a client connects to.
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

interface Pair {
  line: string;
  near: Socket;
  far: Socket;
}

/** How long a connection attempt over a cut line takes to fail. */
const ATTEMPT_MS = 500;

export async function layCable(serverUrl: string): Promise<Cable> {
  let target = new URL(serverUrl);
  const pairs = new Set<Pair>();
  const waiting = new Set<Socket>();
  const cut = new Set<string>();

  const server = createServer((near) => {
    waiting.add(near);
    near.on('error', () => near.destroy());
    near.once('close', () => waiting.delete(near));
    // The name of the line stands in the request line, which comes in one piece.
    near.once('data', (first) => {
      waiting.delete(near);
      near.pause();
      const line = /[?&]line=([^& ]*)/.exec(first.toString('latin1'))?.[1] ?? '';
      if (cut.has(line)) {
        setTimeout(() => near.destroy(), ATTEMPT_MS);
        return;
      }
      join(line, near, first);
    });
  });

  function join(line: string, near: Socket, first: Buffer): void {
    const far = connect(Number(target.port), target.hostname);
    const pair: Pair = { line, near, far };
    pairs.add(pair);
    far.write(first);
    forward(pair, near, far);
    forward(pair, far, near);
    near.resume();
  }

  function forward(pair: Pair, from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (!cut.has(pair.line)) from.resume();
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      // Over a cut line the other side does not learn of it. Once it is mended, it does.
      if (!cut.has(pair.line)) end(pair);
    });
  }

  function end(pair: Pair): void {
    pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }

  const of = (line: string) => [...pairs].filter((pair) => pair.line === line);

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: (line) => `http://127.0.0.1:${address.port}/?line=${encodeURIComponent(line)}`,
    cut(line) {
      cut.add(line);
      for (const { near, far } of of(line)) {
        near.pause();
        far.pause();
      }
    },
    mend(line) {
      cut.delete(line);
      for (const pair of of(line)) {
        if (pair.near.destroyed || pair.far.destroyed) end(pair);
        else {
          pair.near.resume();
          pair.far.resume();
        }
      }
    },
    break(line) {
      for (const pair of of(line)) end(pair);
    },
    lead(otherUrl) {
      target = new URL(otherUrl);
    },
    async close() {
      for (const pair of pairs) end(pair);
      for (const near of waiting) near.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
