import type { PresenceServer } from './types.ts';

/**
 * How long a connection may still be there after it was closed from here, by a client that is gone, or that is read no more
 * and may be busy with what it sends.
 */
const CLOSING_LIMIT_MS = 3000;

type WebSockets = new (options: object) => object;

/**
 * Has one message of a WebSocket handled in each turn of the event loop. Else all that came with one packet of the
 * network is handled in one go, three thousand heartbeats of somebody who floods, and everybody else waits behind them.
 * Nor does it wait half a minute for clients to end a closing handshake. Has to be said before the server listens.
 */
export function oneMessageATurn(io: PresenceServer): void {
  const engine: { opts: { wsEngine?: WebSockets } } = io.engine;
  const { wsEngine } = engine.opts;
  if (wsEngine === undefined) throw new Error('Engine.IO names its WebSocket server no more');
  engine.opts.wsEngine = class extends wsEngine {
    constructor(options: object) {
      super({ ...options, allowSynchronousEvents: false, closeTimeout: CLOSING_LIMIT_MS });
    }
  };
}

/** What takes a WebSocket's bytes apart. */
interface Receiver {
  readonly writableEnded: boolean;
  end(...more: unknown[]): unknown;
}

/**
 * Has what takes a WebSocket's bytes apart be ended once. The library ends it up to three times, and of each time after the first Node
 * makes an error for nobody, which notes all calls that led there: that is a part of every goodbye.
 */
export function endOnce(io: PresenceServer): void {
  io.engine.on('connection', ({ transport }: { transport: { socket?: { _receiver?: Receiver } } }) => {
    const receiver = transport.socket?._receiver;
    if (receiver === undefined) return;
    // Of all of them, as it would be a function more for each.
    const all: Receiver = Object.getPrototypeOf(receiver);
    if (Object.hasOwn(all, 'end')) return;
    const { end } = all;
    all.end = function (this: Receiver, ...more) {
      return this.writableEnded && more.length === 0 ? this : end.apply(this, more);
    };
  });
}

/** A WebSocket as the library below Socket.IO has it. */
interface Raw {
  pause(): void;
  terminate(): void;
  once(event: 'close', heard: () => void): unknown;
}

/** The WebSocket below a connection, as the library has it; null for a connection that polls. */
export function rawOf({ transport }: { transport: object }): Raw | null {
  const { socket }: { socket?: Partial<Raw> } = transport;
  return socket?.terminate === undefined ? null : (socket as Raw);
}

/**
 * Lets go of the mask of a message that has been read, by what carried it. It is four bytes, but of the buffer that the message came
 * in, which the library would keep until the next one: of an idle connection some four hundred bytes.
 */
export function dropMask(transport: object): void {
  const { socket }: { socket?: { _receiver?: { _mask?: unknown } } } = transport;
  if (socket?._receiver) socket._receiver._mask = undefined;
}
