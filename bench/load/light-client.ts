import { connect, type Socket } from 'node:net';
import { CLOSE_FRAME, type FrameTaker, readFrames, textFrame } from './frames.ts';

const PONG = textFrame('3');
const LEAVE = Buffer.concat([textFrame('41'), CLOSE_FRAME]);
const HEADERS_END = Buffer.from('\r\n\r\n');
const [OPEN, CLOSE, PING, MESSAGE] = [0x30, 0x31, 0x32, 0x34];
const [CONNECTED, EVENT, ACKNOWLEDGED, REFUSED] = [0x30, 0x32, 0x33, 0x34];

/** Why a client was not let in; `retryAfterMs` where the server said when to try again. */
export class Refusal extends Error {
  readonly retryAfterMs: number | null;

  constructor(message: string, retryAfterMs: number | null = null) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

export interface LightOptions {
  url: string;
  /** Another source address where one has too few ports. */
  localAddress?: string | undefined;
  auth: object;
  readyOn: 'ready' | 'connect';
}

export interface Listener {
  /** `42[…`: the whole packet, as a view that is gone after the call. */
  event(packet: Buffer): void;
  /** The connection is gone, and it was not we who left. */
  lost(client: LightClient): void;
}

/**
 * Speaks just enough Engine.IO and Socket.IO over WebSocket by hand: ten thousand of the real clients would take more of the
 * machine than what is measured.
 */
export class LightClient implements FrameTaker {
  readonly #listener: Listener;
  #socket: Socket | null = null;
  #rest: Buffer | null = null;
  #upgraded = false;
  #ready: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #acknowledged: Map<number, (answer: unknown) => void> | null = null;
  #serial = 0;
  #options: LightOptions | null = null;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Resolves when let in; rejects with a Refusal. */
  connect(options: LightOptions): Promise<void> {
    const { hostname, port } = new URL(options.url);
    const { localAddress } = options;
    this.#options = options;
    this.#upgraded = false;
    this.#rest = null;
    const socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      ...(localAddress ? { localAddress } : {}),
    });
    this.#socket = socket;
    socket.on('data', (bytes) => this.#socket === socket && this.#take(bytes));
    socket.on('error', () => {});
    socket.on('close', () => this.#socket === socket && this.#closed());
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n' +
        `Host: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
  }

  write(frame: Buffer): void {
    this.#socket?.write(frame);
  }

  /** Says something and waits for what the server answers. */
  ask(event: string, payload: object): Promise<unknown> {
    this.#acknowledged ??= new Map();
    const id = this.#serial++;
    this.write(textFrame(`42${id}${JSON.stringify([event, payload])}`));
    return new Promise((resolve) => this.#acknowledged?.set(id, resolve));
  }

  /** Leaves in order, as Socket.IO's own client does. */
  leave(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.end(LEAVE);
  }

  /** Is gone without a goodbye. */
  drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
  }

  /** Keeps its connection and neither reads nor answers any more. */
  freeze(): void {
    this.#socket?.pause();
  }

  #take(bytes: Buffer): void {
    const whole = this.#rest ? Buffer.concat([this.#rest, bytes]) : bytes;
    if (this.#upgraded) {
      this.#rest = readFrames(whole, this);
      return;
    }
    const end = whole.indexOf(HEADERS_END);
    this.#rest = end < 0 ? whole : null;
    if (end < 0) return;
    const [line = ''] = whole.toString('latin1', 0, 60).split('\r\n');
    if (!line.includes(' 101 ')) {
      this.#fail(new Refusal(line));
      return;
    }
    this.#upgraded = true;
    if (end + 4 < whole.length) this.#take(whole.subarray(end + 4));
  }

  close(): void {
    this.#socket?.end(CLOSE_FRAME);
  }

  text(bytes: Buffer, from: number, to: number): void {
    const type = bytes[from];
    if (type === PING) this.write(PONG);
    else if (type === OPEN) this.write(textFrame(`40${JSON.stringify(this.#options?.auth)}`));
    else if (type === CLOSE) this.#socket?.end();
    else if (type === MESSAGE) this.#message(bytes.subarray(from, to));
  }

  #message(packet: Buffer): void {
    const type = packet[1];
    if (type === EVENT) {
      if (this.#ready && packet.toString('latin1', 2, 9) === '["ready') this.#letIn();
      else this.#listener.event(packet);
    } else if (type === CONNECTED) {
      if (this.#options?.readyOn === 'connect') this.#letIn();
    } else if (type === ACKNOWLEDGED) {
      const text = packet.toString();
      const at = text.indexOf('[');
      const id = Number(text.slice(2, at));
      this.#acknowledged?.get(id)?.(JSON.parse(text.slice(at))[0]);
      this.#acknowledged?.delete(id);
    } else if (type === REFUSED) {
      const { message, data } = JSON.parse(packet.subarray(2).toString());
      this.#fail(new Refusal(message, data?.retryAfterMs ?? null));
    }
  }

  #letIn(): void {
    this.#options = null;
    this.#ready?.resolve();
    this.#ready = null;
  }

  #fail(refusal: Refusal): void {
    const ready = this.#ready;
    this.#ready = null;
    this.drop();
    ready?.reject(refusal);
  }

  #closed(): void {
    this.#socket = null;
    if (this.#ready) this.#fail(new Refusal('The connection was closed.'));
    else this.#listener.lost(this);
  }
}
