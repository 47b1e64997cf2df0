import { Ticker } from '../../lifecycle.ts';
import { sendPing } from './frames.ts';
import type { PresenceServer, PresenceSocket } from './types.ts';

const LOOK_EVERY_MS = 1000;
/** Where pings come more often than this Engine.IO's own timers are the more exact. */
const LEAST_MS = 10_000;
/** So many are pinged in one turn of the event loop, for whoever came together is pinged together. */
const AT_ONCE = 100;

const DUE = Symbol('the look at which it is pinged next');

/** A connection of Engine.IO, as far as pinging goes. There are no public names for it. */
interface Pinged {
  readonly readyState: string;
  /** Engine.IO's own timer of a connection; one that has none it never pings. */
  pingIntervalTimer: NodeJS.Timeout | null;
  /** While the answer to a ping is awaited. */
  readonly pingTimeoutTimer: NodeJS.Timeout | null;
  hasRefreshedPingTimeout: boolean;
  resetPingTimeout(): void;
  [DUE]?: number;
}

/**
 * Pings all who are connected in one pass a second, instead of by a timer for each: of an idle connection that is some three hundred bytes.
 * Whoever does not answer is Engine.IO's to close.
 */
export class Pings {
  readonly #io: PresenceServer;
  readonly #everyMs: number;
  #looks = 0;
  readonly #ticks = new Ticker(LOOK_EVERY_MS, () => this.#look());

  /** `everyMs`: after how long (ms) a connection is pinged again. */
  constructor(io: PresenceServer, everyMs: number) {
    this.#io = io;
    this.#everyMs = everyMs;
  }

  /** Begins to ping whoever is taken from now on; nobody where that is too often for it. */
  start(): void {
    if (this.#everyMs >= LEAST_MS) this.#ticks.start();
  }

  /** Pings nobody any more. */
  stop(): void {
    this.#ticks.stop();
  }

  /** Pings a connection that was let in from now on, in place of Engine.IO. */
  take(socket: PresenceSocket): void {
    const conn = pinged(socket);
    if (!this.#ticks.running || !conn.pingIntervalTimer) return;
    clearTimeout(conn.pingIntervalTimer);
    conn.pingIntervalTimer = null;
    conn[DUE] = this.#next;
  }

  get #next(): number {
    return this.#looks + Math.floor(this.#everyMs / LOOK_EVERY_MS);
  }

  #look(): void {
    this.#looks++;
    const due: Pinged[] = [];
    for (const socket of this.#io.of('/').sockets.values()) {
      const conn = pinged(socket);
      if (conn[DUE] !== undefined && conn[DUE] <= this.#looks && conn.pingTimeoutTimer === null) due.push(conn);
    }
    this.#ping(due);
  }

  #ping(due: Pinged[]): void {
    for (const conn of due.splice(-AT_ONCE)) {
      if (conn.readyState !== 'open') continue;
      conn[DUE] = this.#next;
      conn.hasRefreshedPingTimeout = false;
      sendPing(conn);
      conn.resetPingTimeout();
    }
    if (due.length > 0) setImmediate(() => this.#ping(due));
  }
}

function pinged({ conn }: PresenceSocket): Pinged {
  return conn as unknown as Pinged;
}
