import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { CLIENT_EVENT_NAMES, rowOf } from '../../protocol/client-events.ts';
import { LIMITS } from '../../protocol/vocabulary.ts';
import { WINDOW_MS } from '../limits/limit.ts';
import type { EventLimits } from './limits.ts';
import type { PresenceServer, PresenceSocket } from './types.ts';
import { dropMask, rawOf } from './websocket-library.ts';

type Conn = PresenceSocket['conn'];

/** What a connection may send in a window, whatever it is; more and it is closed. Before it says who it is it is taken for a user. */
export const MOST_SENT = {
  user: { frames: 5000, bytes: 1024 * 1024 },
  service: { frames: 100_000, bytes: 64 * 1024 * 1024 },
} as const;

/** The count of its user hears of what a connection sends in steps of this many bytes: heartbeats are too small to be told one by one. */
const STEP = 16 * 1024;
/** Below this a text is taken for as many bytes as it has characters; above it is measured. */
const SHORT = 128;
/** A heartbeat that says nothing more and wants no answer, as Socket.IO writes it: what nearly all frames are. */
const BEAT = '2["heartbeat"]';
/** How an event begins: perhaps the namespace, perhaps the number of the answer it wants, and its name, of which that is enough. */
const EVENT_HEAD = /^2(?:\/,)?(\d{0,15})\[\s*"([^"\\]{0,64})("?)/;

const LISTS: ReadonlySet<string> = new Set(CLIENT_EVENT_NAMES.filter((event) => rowOf(event).list));

/** What stands for the payload of an event that was too large to be read; nobody can send it. */
export const TOO_LARGE: string = randomUUID();

const INTAKE = Symbol('what its connection sends');
type Heard = Conn & { [INTAKE]?: Intake };

/**
 * Everything that a connection sends, in the order of its coming and before any of it is read: frames and bytes are counted
 * from the first one on, whoever sends them and whatever they are, pings and pongs of any kind included.
 */
export class Intake {
  readonly #conn: Conn;
  /** null: it was not let in yet. */
  #allowed: EventLimits | null = null;
  #beat: (() => void) | null = null;
  #most: { readonly frames: number; readonly bytes: number } = MOST_SENT.user;
  #frames = 0;
  #bytes = 0;
  #windowEnds = 0;
  #untold = 0;
  #closed = false;

  private constructor(conn: Conn) {
    this.#conn = conn;
    const inside = conn.listeners('data');
    conn.removeAllListeners('data');
    conn.on('packet', ({ data }: { data?: string | Buffer }) => {
      dropMask(conn.transport);
      this.#count(data);
    });
    conn.on('data', (data: unknown) => {
      if (this.#closed) return;
      // Before Socket.IO takes it apart, which costs more than all that follows from it.
      if (data === BEAT && this.#beat) return this.#beat();
      const read = this.#allowed ? readable(data) : data;
      if (read !== null) for (const listener of inside) listener.call(conn, read);
    });
    if (conn.transport.name === 'polling') conn.once('upgrade', (transport: object) => this.#hearControl(transport));
    else this.#hearControl(conn.transport);
  }

  /** Begins to count for all connections of a server. */
  static watch(io: PresenceServer): void {
    io.engine.on('connection', (conn: Heard) => {
      conn[INTAKE] = new Intake(conn);
    });
  }

  /** The client of a connection was let in. `beat` is called for each heartbeat that says nothing more. */
  static letIn({ conn }: { conn: Conn }, allowed: EventLimits, beat: () => void): void {
    const intake = (conn as Heard)[INTAKE];
    if (intake === undefined) throw new Error('What this connection sends is not counted');
    intake.#allowed = allowed;
    intake.#beat = beat;
    intake.#most = allowed.isService ? MOST_SENT.service : MOST_SENT.user;
    intake.#tell();
  }

  /** Of WebSocket's own pings and pongs Engine.IO does not hear. */
  #hearControl(transport: object): void {
    const { socket }: { socket?: EventEmitter } = transport;
    const heard = (data: Buffer) => this.#count(data);
    socket?.on('ping', heard).on('pong', heard);
  }

  #count(data: string | Buffer | undefined): void {
    if (this.#closed) return;
    const bytes = bytesOf(data);
    const now = performance.now();
    if (now >= this.#windowEnds) {
      this.#windowEnds = now + WINDOW_MS;
      this.#frames = 0;
      this.#bytes = 0;
    }
    this.#frames++;
    this.#bytes += bytes;
    this.#untold += bytes;
    if (this.#frames > this.#most.frames || this.#bytes > this.#most.bytes) this.#close();
    else if (this.#untold >= STEP) this.#tell();
  }

  #tell(): void {
    if (this.#allowed === null || this.#untold < STEP) return;
    const bytes = this.#untold;
    this.#untold = 0;
    this.#allowed.sent(bytes);
  }

  #close(): void {
    this.#closed = true;
    if (this.#allowed) {
      this.#allowed.close();
      return;
    }
    // It cannot be told before it was let in.
    const raw = rawOf(this.#conn);
    this.#conn.close(true);
    raw?.terminate();
  }
}

/** What is read of a frame: of an event that is too large for its kind only that it came; null: nothing at all. */
function readable(data: unknown): unknown {
  // A character takes three bytes at most.
  if (typeof data !== 'string' || data.length * 3 <= LIMITS.eventBytes) return data;
  if (Buffer.byteLength(data) <= LIMITS.eventBytes) return data;
  const head = EVENT_HEAD.exec(data);
  if (head === null) return null;
  const [, answer = '', name = '', end = ''] = head;
  return end !== '' && LISTS.has(name) ? data : `2${answer}[${JSON.stringify(name)},"${TOO_LARGE}"]`;
}

function bytesOf(data: string | Buffer | undefined): number {
  if (data === undefined) return 0;
  return typeof data === 'string' && data.length > SHORT ? Buffer.byteLength(data) : data.length;
}
