import type { Writable } from 'node:stream';
import type { ServerEvent, ServerToClientEvents } from '../../protocol/socket.ts';

type Payload<E extends ServerEvent> = Parameters<ServerToClientEvents[E]>[0];

/** A text message of a WebSocket, whole: its first byte, and from which length on the length needs two bytes or eight. */
const TEXT = 0x81;
const LENGTH_IN_TWO = 126;
const LENGTH_IN_EIGHT = 65_536;
/** In the packets of Engine.IO and Socket.IO: a message, and in it an event. */
const MESSAGE = '4';
const EVENT = '2';
/** Of the `readyState` of a WebSocket. */
const OPEN = 1;

/** What is below Socket.IO, as far as there is no public name for it. */
interface Conn {
  readonly readyState: string;
  readonly writeBuffer: readonly unknown[];
  /** Of a WebSocket `socket`, and below it the stream to the network. */
  readonly transport: {
    writable: boolean;
    readonly socket?: { readyState: number; _socket: Writable | null };
  };
  write(text: string, options: SendOptions): unknown;
  sendPacket(type: 'ping'): void;
}

/** As Engine.IO has them; `wsPreEncodedFrame` is what it sends instead of the text where that goes by WebSocket. */
interface SendOptions {
  compress: boolean;
  wsPreEncodedFrame: [Buffer];
}

/** Who reads events over HTTP, without a connection of Engine.IO. */
export interface StreamOutlet {
  readonly conn: null;
  take(frame: Frame): void;
}

/**
 * An event for as many clients as there are: encoded once, down to the bytes on the network, which all of them share. Socket.IO
 * does so up to the head of the frame, and has each client's layers between handle it anew, which costs more than the sending.
 */
export class Frame {
  readonly #event: ServerEvent;
  readonly #json: string;
  #options: SendOptions | null = null;
  #run: Run | null = null;

  /** `json`: the payload. */
  constructor(event: ServerEvent, json: string) {
    this.#event = event;
    this.#json = json;
  }

  static of<E extends ServerEvent>(event: E, payload: Payload<E>): Frame {
    return new Frame(event, JSON.stringify(payload));
  }

  /**
   * Sends it to a client, behind all that it was sent before; one that is gone gets nothing. What a client has not taken yet waits in
   * the buffers of Engine.IO, where slow readers are found, and never more than one write below them.
   */
  sendTo(socket: { readonly conn: object } | StreamOutlet): void {
    if (socket.conn === null) {
      socket.take(this);
      return;
    }
    const conn = socket.conn as Conn;
    const before = waiting.size > 0 ? waiting.get(conn) : undefined;
    if (before) waiting.set(conn, before.and(this));
    else this.write(conn);
  }

  /**
   * Sends it together with whatever else the client is told in this turn of the event loop, as one write: of what happens in one moment
   * many are told several things, and a write costs more than what it says.
   */
  gatherFor(socket: { readonly conn: object } | StreamOutlet): void {
    if (socket.conn === null) {
      socket.take(this);
      return;
    }
    const conn = socket.conn as Conn;
    if (waiting.size === 0) process.nextTick(sendGathered);
    this.#run ??= new Run(null, this);
    waiting.set(conn, waiting.get(conn)?.and(this) ?? this.#run);
  }

  /** Writes it to a connection of Engine.IO, whatever waits for others. */
  write(conn: Conn): void {
    if (conn.readyState !== 'open') return;
    const stream = freeStreamOf(conn);
    if (stream) stream.write(this.bytes);
    else conn.write(this.#text, this.#encoded());
  }

  /** As a WebSocket has it. */
  get bytes(): Buffer {
    return this.#encoded().wsPreEncodedFrame[0];
  }

  #encoded(): SendOptions {
    this.#options ??= { compress: false, wsPreEncodedFrame: [frameOf(MESSAGE + this.#text)] };
    return this.#options;
  }

  /** As a stream of events over HTTP has it, with the id from which a reader would go on. */
  linesAt(id: string): string {
    return `event: ${this.#event}\nid: ${id}\ndata: ${this.#json}\n\n`;
  }

  get #text(): string {
    return `${EVENT}["${this.#event}",${this.#json}]`;
  }
}

/** Frames one behind the other; those who are told the same share one, and the bytes of it. */
class Run {
  readonly #before: Run | null;
  readonly #frame: Frame;
  #next: Run | null = null;
  #bytes: Buffer | null = null;

  constructor(before: Run | null, frame: Frame) {
    this.#before = before;
    this.#frame = frame;
  }

  /** With a frame more. All are told of one thing before anybody is of the next, so the last that was asked for is kept. */
  and(frame: Frame): Run {
    if (this.#next === null || this.#next.#frame !== frame) this.#next = new Run(this, frame);
    return this.#next;
  }

  sendTo(conn: Conn): void {
    const stream = this.#before && conn.readyState === 'open' ? freeStreamOf(conn) : null;
    if (stream) {
      this.#bytes ??= Buffer.concat(this.#frames().map(({ bytes }) => bytes));
      stream.write(this.#bytes);
    } else for (const frame of this.#frames()) frame.write(conn);
  }

  #frames(): Frame[] {
    const frames: Frame[] = [];
    for (let run: Run | null = this; run; run = run.#before) frames.unshift(run.#frame);
    return frames;
  }
}

/** What is to be said in this turn of the event loop. */
let waiting = new Map<Conn, Run>();

/** Sends what was gathered. Call it before a client is told something otherwise, which is to come behind. */
export function sendGathered(): void {
  if (waiting.size === 0) return;
  const all = waiting;
  waiting = new Map();
  for (const [conn, run] of all) run.sendTo(conn);
}

/**
 * Has what is said to a socket from now on wait for `together`, where nothing waits yet. Call it right before it is let in, so that
 * Socket.IO's own greeting is the first of it.
 */
export function holdBack({ conn }: { readonly conn: object }): void {
  if (freeStreamOf(conn as Conn)) (conn as Conn).transport.writable = false;
}

/** Says what `say` does, and what was held back before it: all of it in one packet of the network. */
export function together({ conn }: { readonly conn: object }, say: () => void): void {
  const { transport, writeBuffer } = conn as Conn;
  const stream = transport.writable || writeBuffer.length === 0 ? null : transport.socket?._socket;
  stream?.cork();
  if (stream) transport.writable = true;
  try {
    say();
  } finally {
    stream?.uncork();
  }
}

/** Sends a connection of Engine.IO a ping; that it is answered is for whoever sends it to see to. */
export function sendPing(conn: object): void {
  const stream = freeStreamOf(conn as Conn);
  if (stream) stream.write(PING);
  else (conn as Conn).sendPacket('ping');
}

/** The stream below a WebSocket on which nothing waits, in any layer; else null. */
function freeStreamOf({ transport, writeBuffer }: Conn): Writable | null {
  const { writable, socket } = transport;
  if (!writable || writeBuffer.length > 0 || socket?.readyState !== OPEN) return null;
  const stream = socket._socket;
  return stream?.writable && stream.writableLength === 0 ? stream : null;
}

/** A text as one unmasked frame, head and payload in one piece: two would be joined for each client anew. */
function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < LENGTH_IN_TWO ? 2 : length < LENGTH_IN_EIGHT ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = TEXT;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, head);
  return frame;
}

/** Engine.IO's, which WebSocket's own pings are not. */
const PING = frameOf('2');
