/** More ignored heartbeats than this within the window, and the client is not worth listening to. */
const MAX_IGNORED = 50;
const WINDOW_MS = 10_000;

export interface HeartbeatVerdict {
  accepted: boolean;
  /** When the next one is welcome. */
  retryAfterMs: number;
  tooMany: boolean;
}

/** Judges one socket's heartbeats: how often they count, and when there are too many to bear. */
export class HeartbeatLimit {
  readonly #minIntervalMs: number;
  #accepted = Number.NEGATIVE_INFINITY;
  #ignored = 0;
  #windowStart = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(minIntervalMs: number) {
    this.#minIntervalMs = minIntervalMs;
  }

  /** Judges a heartbeat that comes now (ms, performance.now()). */
  judge(now = performance.now()): HeartbeatVerdict {
    const wait = this.#accepted + this.#minIntervalMs - now;
    if (wait <= 0) {
      this.#accepted = now;
      return { accepted: true, retryAfterMs: 0, tooMany: false };
    }
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#ignored = 0;
    }
    this.#ignored++;
    const tooMany = this.#ignored > MAX_IGNORED && !this.#closed;
    if (tooMany) this.#closed = true;
    return { accepted: false, retryAfterMs: tooMany ? WINDOW_MS : wait, tooMany };
  }
}
