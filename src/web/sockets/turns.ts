import type { PresenceServer } from './types.ts';

type WebSockets = new (options: object) => object;

/**
 * One message of a WebSocket in each turn of the event loop. Else all that came with one packet of the network is handled
 * in one go, three thousand heartbeats of somebody who floods, and everybody else waits behind them. Has to be said before
 * the server listens.
 */
export function takeTurns(io: PresenceServer): void {
  const engine: { opts: { wsEngine?: WebSockets } } = io.engine;
  const { wsEngine } = engine.opts;
  if (wsEngine === undefined) throw new Error('Engine.IO names its WebSocket server no more');
  engine.opts.wsEngine = class extends wsEngine {
    constructor(options: object) {
      super({ ...options, allowSynchronousEvents: false });
    }
  };
}

interface Raw {
  pause(): void;
  terminate(): void;
}

/** What a client that is heard no more still gets to read its goodbye in: it may be busy with what it sends. */
const CUT_AFTER_MS = 3000;

/** Reads nothing more of a client that is being closed: what it still sends stays in its own buffers. */
export function stopReading({
  conn,
}: {
  conn: { transport: object; once(event: 'close', heard: () => void): unknown };
}) {
  const { socket }: { socket?: Partial<Raw> } = conn.transport;
  if (socket?.pause === undefined) return;
  socket.pause();
  // A pause also leaves the other side's answer to the closing unread, for which it would wait half a minute.
  conn.once('close', () => setTimeout(() => socket.terminate?.(), CUT_AFTER_MS));
}
