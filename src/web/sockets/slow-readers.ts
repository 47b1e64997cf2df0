import { Ticker } from '../../lifecycle.ts';
import type { PresenceServer, PresenceSocket } from './types.ts';

const LOOK_EVERY_MS = 1000;
/** What may wait for one client, in bytes. A client that reads at all stays far below it. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Who has not taken anything for this long will not. */
const MAX_STUCK_MS = 30_000;

/** What Engine.IO has not handed to the transport yet. There is no public name for it. */
function waiting(socket: PresenceSocket): readonly { data?: unknown }[] {
  const { writeBuffer } = socket.conn as unknown as { writeBuffer: { data?: unknown }[] };
  return writeBuffer;
}

/** Rough, and cheap: text in UTF-16 units, frames encoded before in bytes. */
function waitingBytes(socket: PresenceSocket): number {
  let bytes = 0;
  for (const packet of waiting(socket)) {
    const { data } = packet;
    bytes += typeof data === 'string' ? data.length : 64;
    if (bytes > MAX_WAITING_BYTES) break;
  }
  return bytes;
}

/**
 * Cuts off clients that do not read: what is written to them waits in this process's memory. Their sessions keep their
 * deadlines, for a client that heartbeats is there, and may come back by a better road.
 */
export class SlowReaders {
  readonly #io: PresenceServer;
  readonly #cut: (socket: PresenceSocket) => void;
  readonly #stuckSince = new Map<PresenceSocket, number>();
  readonly #looks = new Ticker(LOOK_EVERY_MS, () => this.look());

  constructor(io: PresenceServer, cut: (socket: PresenceSocket) => void) {
    this.#io = io;
    this.#cut = cut;
  }

  /** Begins to look, again and again. */
  start(): void {
    this.#looks.start();
  }

  /** Looks no more. */
  stop(): void {
    this.#looks.stop();
    this.#stuckSince.clear();
  }

  /** Cuts off whoever has not read for too long, or has too much waiting. `now`: ms of performance.now(). */
  look(now = performance.now()): void {
    for (const socket of this.#io.of('/').sockets.values()) {
      if (waiting(socket).length === 0) {
        this.#stuckSince.delete(socket);
        continue;
      }
      const since = this.#stuckSince.get(socket) ?? now;
      this.#stuckSince.set(socket, since);
      if (now - since >= MAX_STUCK_MS || waitingBytes(socket) > MAX_WAITING_BYTES) {
        this.#stuckSince.delete(socket);
        this.#cut(socket);
      }
    }
    for (const socket of this.#stuckSince.keys()) if (!socket.connected) this.#stuckSince.delete(socket);
  }
}
