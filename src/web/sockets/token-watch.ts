import type { PresenceSocket } from './types.ts';

const AHEAD_MS = 60_000;
/** The socket is closed between `exp` and 5 s later. */
const AFTER_MS = 1000;
const COARSE_FROM_MS = 10_000;
/** setTimeout takes no more. */
const LONGEST_MS = 2 ** 31 - 1;

/** Tells a client that its token is about to expire, and hands the socket to `expired` when it has. */
export class TokenWatch {
  readonly #socket: PresenceSocket;
  readonly #expired: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: PresenceSocket, expired: () => void) {
    this.#socket = socket;
    this.#expired = expired;
  }

  /** Begins, or begins anew with a fresh token. `expiresAt` in ms of this machine's clock, by which tokens are judged. */
  follow(expiresAt: number): void {
    this.stop();
    this.#wait(expiresAt - AHEAD_MS, () => {
      this.#socket.emit('token_expiring', { expiresAt: new Date(expiresAt).toISOString() });
      this.#wait(expiresAt + AFTER_MS, this.#expired);
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(until: number, then: () => void): void {
    const exact = until - Date.now();
    // To a second: Node keeps a list for each length of time, and there are many sockets.
    const left = exact > COARSE_FROM_MS ? Math.ceil(exact / 1000) * 1000 : exact;
    this.#timer = setTimeout(
      () => (left > LONGEST_MS ? this.#wait(until, then) : then()),
      Math.min(Math.max(left, 0), LONGEST_MS),
    );
  }
}
