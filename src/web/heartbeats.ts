import type { SessionState } from '../presence/session.ts';
import { SHARDS } from '../redis/keys.ts';
import type { PresenceStore } from '../redis/presence-store.ts';
import type { Ended } from '../redis/presence-types.ts';
import type { Connection } from './connection.ts';
import type { FollowUps } from './follow-ups.ts';

/** How long beats gather before they go to Redis together; a beat is good for seconds. */
const TICK_MS = 10;
const RETRY_MS = 200;
const BEATS_AT_ONCE = 500;

interface Owed {
  /** Only where the client said something else than before. */
  state: SessionState | null;
  told: (() => void)[];
}

export interface HeartbeatListener {
  /** Redis does not know the session. */
  missing(connection: Connection): void;
  ended(connection: Connection, reason: Ended): void;
}

/**
 * Gathers heartbeats and tells Redis of all in a tick with one script call per shard. One call per shard is on its way at
 * a time: while Redis is slow or away the beats of the meantime become one per session, sent with their age.
 */
export class Heartbeats {
  readonly #store: PresenceStore;
  readonly #followUps: FollowUps;
  readonly #listener: HeartbeatListener;
  readonly #stretch: () => number;
  readonly #owed: Map<Connection, Owed>[] = Array.from({ length: SHARDS }, () => new Map());
  readonly #sending: (Promise<void> | null)[] = Array.from({ length: SHARDS }, () => null);
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `stretch`: how many times longer than usual beats gather right now. */
  constructor(store: PresenceStore, followUps: FollowUps, listener: HeartbeatListener, stretch: () => number) {
    this.#store = store;
    this.#followUps = followUps;
    this.#listener = listener;
    this.#stretch = stretch;
  }

  beat(connection: Connection, state: SessionState | null): Promise<void> {
    connection.lastBeat = performance.now();
    const changed = state !== null && state !== connection.state ? state : null;
    if (state !== null) connection.state = state;
    return new Promise((resolve) => this.#put(connection, changed, resolve));
  }

  /** The connection's last beat has to be told (again). */
  owe(connection: Connection): void {
    this.#put(connection, connection.state, () => {});
  }

  forget(connection: Connection): void {
    const owed = this.#owed[connection.shard]?.get(connection);
    this.#owed[connection.shard]?.delete(connection);
    for (const tell of owed?.told ?? []) tell();
  }

  /** Sends what is owed now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let shard = 0; shard < SHARDS; shard++) {
      if ((this.#owed[shard]?.size ?? 0) > 0) this.#sending[shard] ??= this.#send(shard);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#sending);
  }

  #put(connection: Connection, state: SessionState | null, tell: () => void, inMs = this.#tickMs): void {
    const owed = this.#owed[connection.shard];
    const already = owed?.get(connection);
    if (already) {
      already.state = state ?? already.state;
      already.told.push(tell);
    } else {
      owed?.set(connection, { state, told: [tell] });
    }
    this.#schedule(inMs);
  }

  get #tickMs(): number {
    return TICK_MS * this.#stretch();
  }

  #schedule(ms: number): void {
    if (!this.#stopped) this.#timer ??= setTimeout(() => this.flush(), ms);
  }

  async #send(shard: number): Promise<void> {
    const all = this.#owed[shard] ?? new Map<Connection, Owed>();
    const batch = [...all].slice(0, BEATS_AT_ONCE);
    for (const [connection] of batch) all.delete(connection);
    const now = performance.now();
    try {
      const { refused, followUp } = await this.#store.touch(
        shard,
        batch.map(([{ userId, sessionId, conn, lastBeat }, { state }]) => ({
          userId,
          sessionId,
          conn,
          ageMs: Math.max(0, now - lastBeat),
          state,
        })),
      );
      this.#followUps.add(followUp);
      for (const { place, code } of refused) {
        const connection = batch[place]?.[0];
        if (!connection) continue;
        if (code === 'missing') this.#listener.missing(connection);
        else this.#listener.ended(connection, code);
      }
      for (const [, { told }] of batch) for (const tell of told) tell();
      this.#sending[shard] = null;
      if (all.size > 0) this.#schedule(this.#tickMs);
    } catch {
      // Kept until Redis is back; its client has noted why.
      for (const [connection, { state, told }] of batch) {
        for (const tell of told) tell();
        if (connection.holds) this.#put(connection, state, () => {}, RETRY_MS);
      }
      this.#sending[shard] = null;
    }
  }
}
