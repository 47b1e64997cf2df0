import type { Config } from '../config.ts';
import type { SessionState } from '../presence/session.ts';
import type { FollowUps } from '../queues/follow-ups.ts';
import type { Keys } from '../redis/keys.ts';
import type { PresenceStore } from '../redis/presence-store.ts';
import type { Ended } from '../redis/presence-types.ts';
import type { Connection } from './connection.ts';

/** How long beats gather before they go to Redis together: those that somebody waits for or that say something new, */
const SOON_MS = 10;
/** and all others: the more there are in one call, the less each of them costs. */
const LATER_MS = 250;
/** But of what a client has left when it beats on time, no more than this part: gathered longer under load, it must still be in time. */
const PART_OF_MARGIN = 1 / 20;
/** Under load too, or they would be too old to be taken the cheap way. */
const LONGEST_MS = 800;
const RETRY_MS = 200;
const BEATS_AT_ONCE = 500;

interface Owed {
  /** Only where the client said something else than before. */
  state: SessionState | null;
  told: (() => void)[] | null;
  /** Redis was away when it came, or has been since. */
  kept: boolean;
}

/** What is owed to one node, so that one that is away holds up no others. */
interface Debt {
  owed: Map<Connection, Owed>;
  sending: Promise<void> | null;
  timer: NodeJS.Timeout | undefined;
  /** When the timer is over. */
  due: number;
}

export interface HeartbeatListener {
  /** Redis does not know the session. */
  missing(connection: Connection): void;
  ended(connection: Connection, reason: Ended): void;
}

/**
 * Gathers heartbeats and tells Redis of all in a tick with one script call. One call per node is on its way at a time:
 * while Redis is slow or away the beats of the meantime become one per session, sent with their age.
 */
export class Heartbeats {
  readonly #store: PresenceStore;
  readonly #placeOf: Keys['placeOf'];
  readonly #followUps: FollowUps;
  readonly #listener: HeartbeatListener;
  readonly #laterMs: number;
  readonly #stretch: () => number;
  readonly #debts: readonly Debt[];
  #stopped = false;

  /** `stretch`: how many times longer than usual beats gather right now. */
  constructor(
    { store, keys }: { store: PresenceStore; keys: Keys },
    followUps: FollowUps,
    listener: HeartbeatListener,
    { ttlMs, heartbeatIntervalMs }: Pick<Config, 'ttlMs' | 'heartbeatIntervalMs'>,
    stretch: () => number,
  ) {
    this.#store = store;
    this.#placeOf = keys.placeOf;
    this.#followUps = followUps;
    this.#listener = listener;
    this.#laterMs = Math.min(LATER_MS, (ttlMs - heartbeatIntervalMs) * PART_OF_MARGIN);
    this.#stretch = stretch;
    this.#debts = keys.places.map(() => ({ owed: new Map(), sending: null, timer: undefined, due: 0 }));
  }

  /** `told` is called once Redis has the beat, or has turned out to be away. */
  beat(connection: Connection, state: SessionState | null, told: (() => void) | null): void {
    connection.lastBeat = performance.now();
    const changed = state !== null && state !== connection.state ? state : null;
    if (state !== null) connection.state = state;
    this.#put(
      connection,
      changed,
      told,
      Math.min((told || changed ? SOON_MS : this.#laterMs) * this.#stretch(), LONGEST_MS),
    );
  }

  /** The connection's last beat has to be told (again). */
  owe(connection: Connection): void {
    this.#put(connection, connection.state, null, SOON_MS * this.#stretch());
    const owed = this.#debtOf(connection).owed.get(connection);
    if (owed) owed.kept = true;
  }

  forget(connection: Connection): void {
    const owed = this.#debtOf(connection).owed;
    const told = owed.get(connection)?.told;
    owed.delete(connection);
    for (const tell of told ?? []) tell();
  }

  /** Sends what is owed now. */
  flush(): void {
    for (const debt of this.#debts) this.#flush(debt);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#debts) clearTimeout(timer);
    await Promise.all(this.#debts.map(({ sending }) => sending));
  }

  #debtOf(connection: Connection): Debt {
    return this.#debts[this.#placeOf(connection.shard)] as Debt;
  }

  #put(connection: Connection, state: SessionState | null, told: (() => void) | null, inMs: number): void {
    const debt = this.#debtOf(connection);
    const already = debt.owed.get(connection);
    if (already) {
      already.state = state ?? already.state;
      if (told) {
        already.told ??= [];
        already.told.push(told);
      }
    } else {
      debt.owed.set(connection, { state, told: told && [told], kept: false });
    }
    this.#schedule(debt, inMs);
  }

  #schedule(debt: Debt, ms: number): void {
    if (this.#stopped) return;
    const due = performance.now() + ms;
    if (debt.timer !== undefined) {
      if (debt.due <= due) return;
      clearTimeout(debt.timer);
    }
    debt.due = due;
    debt.timer = setTimeout(() => this.#flush(debt), ms);
  }

  #flush(debt: Debt): void {
    clearTimeout(debt.timer);
    debt.timer = undefined;
    if (debt.owed.size > 0) debt.sending ??= this.#send(debt);
  }

  async #send(debt: Debt): Promise<void> {
    const { owed } = debt;
    const batch: [Connection, Owed][] = [];
    for (const entry of owed) {
      if (batch.length === BEATS_AT_ONCE) break;
      batch.push(entry);
    }
    for (const [connection] of batch) owed.delete(connection);
    const now = performance.now();
    const beats = batch.map(([{ userId, sessionId, conn, lastBeat }, { state, kept }]) => ({
      userId,
      sessionId,
      conn,
      ageMs: Math.max(0, now - lastBeat),
      state,
      kept,
    }));
    try {
      const { refused, followUps } = await this.#store.touch(beats);
      for (const followUp of followUps) this.#followUps.add(followUp);
      for (const { beat, code } of refused) {
        const connection = batch[beat]?.[0];
        if (!connection) continue;
        if (code === 'missing') this.#listener.missing(connection);
        else this.#listener.ended(connection, code);
      }
      this.#tell(batch);
      debt.sending = null;
      if (owed.size > 0) this.#schedule(debt, SOON_MS * this.#stretch());
    } catch {
      // Kept until Redis is back; its client has noted why.
      this.#tell(batch);
      debt.sending = null;
      for (const [connection, { state }] of batch) {
        // What was said meanwhile is newer.
        if (!connection.holds) continue;
        this.#put(connection, state && connection.state, null, RETRY_MS);
        const again = owed.get(connection);
        if (again) again.kept = true;
      }
      // What came meanwhile is owed too, even where nobody of this batch is here any more.
      if (owed.size > 0) this.#schedule(debt, RETRY_MS);
    }
  }

  #tell(batch: readonly [Connection, Owed][]): void {
    for (const [, { told }] of batch) if (told) for (const tell of told) tell();
  }
}
