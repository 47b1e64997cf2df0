import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PresenceServer, PresenceSocket } from './types.ts';

/**
 * What the libraries keep of each connection for what is never asked of them here, or keep in more room than it takes: a third of
 * what an idle one needs. All of it is memory alone: where a library names things otherwise one day, nothing is saved and
 * nothing else is different.
 */

type Listener = (...args: unknown[]) => void;
type Emitter = Pick<Duplex, 'rawListeners' | 'removeListener'> & { _events?: Record<string, Listener | Listener[]> };

interface Engine {
  handleUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
}

interface Conn extends Emitter {
  cleanupFn?: unknown[];
  transport: Emitter & { socket?: Emitter };
}

interface Decoder {
  _callbacks?: Record<string, unknown>;
}

/** No event of ours asks for an acknowledgement. */
const NOTHING_ASKED = new Map();

/**
 * Lets go of the request of each WebSocket as soon as it is one. Engine.IO makes a kind of response for middlewares, of which there
 * are none here, and has the stream tell it of its end, so that request and response would be kept until then.
 */
export function dropUpgradeResponses(io: PresenceServer): void {
  const engine: Engine = io.engine;
  const upgrade = engine.handleUpgrade.bind(engine);
  engine.handleUpgrade = (request, stream, head) => {
    const known = stream.rawListeners('close');
    upgrade(request, stream, head);
    // The first thing that it does. The others are no wrappers of `once`.
    const [ofResponse] = stream.rawListeners('close').filter((listener) => !known.includes(listener));
    if (ofResponse && 'listener' in ofResponse) stream.removeListener('close', ofResponse as unknown as Listener);
  };
}

/** Makes the memory of a connection that was let in as small as it can be. Call it last: what comes to it later takes its room anew. */
export function slim(socket: PresenceSocket): void {
  const conn = socket.conn as unknown as Conn;
  const { transport } = conn;
  const { decoder } = socket.client as unknown as { decoder?: Decoder };
  Object.assign(socket, { acks: NOTHING_ASKED });
  const lists = socket as unknown as { _anyListeners?: unknown[] };
  if (lists._anyListeners) lists._anyListeners = lists._anyListeners.slice();
  if (conn.cleanupFn) conn.cleanupFn = conn.cleanupFn.slice();
  shorten(decoder?._callbacks ?? {});
  const raw = transport.socket;
  if (raw) {
    // For the time before there was a connection; and of the headers of an answer there is nothing more to say.
    dropListener(raw, 'error', 'onUpgradeError');
    for (const listener of transport.rawListeners('headers')) transport.removeListener('headers', listener as Listener);
    for (const emitter of [raw, transport]) compact(emitter);
  }
  for (const emitter of [conn, socket as unknown as Emitter]) compact(emitter);
}

function dropListener(emitter: Emitter, event: string, name: string): void {
  const found = emitter.rawListeners(event).find((listener) => listener.name === name);
  if (found) emitter.removeListener(event, found as Listener);
}

/** As Node's own, it inherits nothing; but an object that is made so at once is a table, and one made by a function is not. */
const Events = function Events() {} as unknown as new () => Record<string, Listener | Listener[]>;
Events.prototype = Object.create(null);

/**
 * Node keeps listeners in a table of some two hundred bytes and more, which only grows. Its lists stay as they are: Node 24 marks them while
 * it goes through them, and in a copy without the mark a listener that removes itself has the one behind it left out.
 */
function compact(emitter: Emitter): void {
  if (emitter._events) emitter._events = Object.assign(new Events(), emitter._events);
}

/** Gives back the room that lists have for more. */
function shorten(lists: Record<string, unknown>): void {
  for (const [name, list] of Object.entries(lists)) if (Array.isArray(list)) lists[name] = list.slice();
}
