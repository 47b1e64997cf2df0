import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Longer than a server takes from being given a port to listening on it. */
const RESERVED_MS = 60_000;

/**
 * A free TCP port on 127.0.0.1, taken from below the ephemeral range (32768 and up on Linux): a port out of that range may
 * be taken by any outgoing connection while a store is down between two starts, even by a client that keeps
 * knocking at the closed port and ends up connected to itself. Nobody else who asks here is given it for a minute.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await reservePort(port)) return port;
  }
  throw new Error('No free port found between 15000 and 32000 on 127.0.0.1.');
}

/** Whether a server could listen on this port of 127.0.0.1, and nobody else is about to; from now on we are. */
export async function reservePort(port: number): Promise<boolean> {
  return (await lock(port)) && (await isFree(port));
}

/** UDP has ports of its own, so that holding one tells every process of this machine, and ends with the holder. */
function lock(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      setTimeout(() => socket.close(), RESERVED_MS).unref();
      resolve(true);
    });
  });
}

/** Whether a server could listen on this port of 127.0.0.1 right now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
