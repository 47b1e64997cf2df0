import type { SessionState } from '../../presence/session.ts';
import type { FollowUps } from '../../queues/follow-ups.ts';
import type { Keys } from '../../redis/keys.ts';
import type { PresenceStore } from '../../redis/presence-store.ts';
import type { Ended } from '../../redis/presence-types.ts';
import type { Connection } from './connection.ts';

/** How long beats gather before they go to Redis together: those that somebody waits for or that say something new, */
const SOON_MS = 10;
/** and all others: the more there are in one call, the less each of them costs. */
const LATER_MS = 250;
/** But of what a client has left when it beats on time, no more than this part: gathered longer under load, it must still be in time. */
const PART_OF_MARGIN = 1 / 20;
/** Under load too, or they would be too old to be taken the cheap way. */
const LONGEST_MS = 800;
/** Beats that wait for longer than this part of what their clients have left are in danger of coming too late, */
const BEHIND_PART_OF_MARGIN = 1 / 2;
/** and all the sooner the longer Redis takes: it has to hear that expiry must wait, and before that what was asked already. */
const ANSWERS_UNTIL_HEARD = 2;
const RETRY_MS = 200;
const BEATS_IN_A_CALL = 500;
/** Where more are owed, as after an outage. Of more at once the answers, and that of the pulse behind them, would be late. */
const CALLS_AT_ONCE = 2;

interface Owed {
  /** Since when it waits. */
  since: number;
  /** Only where the client said something else than before. */
  state: SessionState | null;
  told: (() => void)[] | null;
  /** Redis was away when it came, or has been since. */
  kept: boolean;
}

type Entry = readonly [Connection, Owed];

/** What is owed to one node, so that one that is away holds up no others. */
interface Debt {
  owed: Map<Connection, Owed>;
  sending: Promise<void> | null;
  timer: NodeJS.Timeout | undefined;
  /** When the timer is over. */
  due: number;
  /** On their way, since when. */
  sent: readonly Entry[];
  sentAt: number;
  /** What the first of those who are late has left (ms) when it beats on time: on its account expiry is asked to wait; null: it is not. */
  asksFor: number | null;
}

export interface HeartbeatListener {
  /** Redis does not know the session. */
  missing(connection: Connection): void;
  ended(connection: Connection, reason: Ended): void;
  /** Expiry need not wait any longer. */
  caughtUp(): void;
}

/**
 * Gathers heartbeats and tells Redis of all in a tick with one script call, or a few of them together where there are many.
 * What comes for a node while they are on their way waits for their answers: while Redis is slow or away the beats of the
 * meantime become one per session, sent with their age.
 */
export class Heartbeats {
  readonly #store: PresenceStore;
  readonly #slotGroupOf: Keys['slotGroupOf'];
  readonly #followUps: FollowUps;
  readonly #listener: HeartbeatListener;
  readonly #stretch: () => number;
  readonly #debts: readonly Debt[];
  #stopped = false;

  /** `stretch`: how many times longer than usual beats gather right now. */
  constructor(
    { store, keys }: { store: PresenceStore; keys: Keys },
    followUps: FollowUps,
    listener: HeartbeatListener,
    stretch: () => number,
  ) {
    this.#store = store;
    this.#slotGroupOf = keys.slotGroupOf;
    this.#followUps = followUps;
    this.#listener = listener;
    this.#stretch = stretch;
    this.#debts = keys.slotGroups.map(() => ({
      owed: new Map(),
      sending: null,
      timer: undefined,
      due: 0,
      sent: [],
      sentAt: 0,
      asksFor: null,
    }));
  }

  /** Takes a heartbeat. `told` is called once Redis has it, or has turned out to be away. */
  beat(connection: Connection, state: SessionState | null, told: (() => void) | null): void {
    connection.lastBeat = performance.now();
    const changed = state !== null && state !== connection.state ? state : null;
    if (state !== null) connection.state = state;
    const laterMs = told || changed ? SOON_MS : Math.min(LATER_MS, marginOf(connection) * PART_OF_MARGIN);
    this.#put(connection, changed, told, Math.min(laterMs * this.#stretch(), LONGEST_MS));
  }

  /** Has the connection's last beat told (again). */
  owe(connection: Connection): void {
    this.#put(connection, connection.state, null, SOON_MS * this.#stretch());
    const owed = this.#debtOf(connection).owed.get(connection);
    if (owed) owed.kept = true;
  }

  /**
   * Whether expiry in these shards (all those of a node) has to wait: some beats were kept while Redis was away, or have
   * waited for so long that their sessions may be overdue there. Once it waits it does so until answers are quick enough again
   * for the next beats to be in time. Where it was not reachable, what has been kept shows once it is.
   *
   * `answerMs`: how long Redis took to answer last.
   */
  isBehind([shard = 0]: readonly number[], reachable: boolean, answerMs: number): boolean {
    if (!reachable) return true;
    const debt = this.#debts[this.#slotGroupOf(shard)] as Debt;
    const stays = debt.asksFor !== null && spareMs(debt.asksFor, answerMs) === 0;
    if (!stays) debt.asksFor = marginOfLate(debt, performance.now(), answerMs);
    return debt.asksFor !== null;
  }

  /** Forgets what is owed of a connection, which is gone. */
  drop(connection: Connection): void {
    const owed = this.#debtOf(connection).owed;
    const told = owed.get(connection)?.told;
    owed.delete(connection);
    for (const tell of told ?? []) tell();
  }

  /** Tells at once what is owed to a node that can be reached again. */
  catchUp([shard = 0]: readonly number[]): void {
    this.#flush(this.#debts[this.#slotGroupOf(shard)] as Debt);
  }

  /** Stops: what is on its way to Redis arrives, and what is still owed is dropped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#debts) clearTimeout(timer);
    await Promise.all(this.#debts.map(({ sending }) => sending));
    for (const { owed } of this.#debts) for (const connection of [...owed.keys()]) this.drop(connection);
  }

  #debtOf(connection: Connection): Debt {
    return this.#debts[this.#slotGroupOf(connection.shard)] as Debt;
  }

  #put(connection: Connection, state: SessionState | null, told: (() => void) | null, inMs: number): void {
    if (this.#stopped) {
      told?.();
      return;
    }
    const debt = this.#debtOf(connection);
    const already = debt.owed.get(connection);
    if (already) {
      already.state = state ?? already.state;
      if (told) {
        already.told ??= [];
        already.told.push(told);
      }
    } else {
      debt.owed.set(connection, { since: performance.now(), state, told: told && [told], kept: false });
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
    if (debt.owed.size > 0 && !this.#stopped) debt.sending ??= this.#send(debt);
  }

  async #send(debt: Debt): Promise<void> {
    const { owed } = debt;
    const sent: Entry[] = [];
    for (const entry of owed) {
      if (sent.length === BEATS_IN_A_CALL * CALLS_AT_ONCE) break;
      sent.push(entry);
    }
    for (const [connection] of sent) owed.delete(connection);
    debt.sent = sent;
    debt.sentAt = performance.now();
    const calls: Promise<boolean>[] = [];
    for (let n = 0; n < sent.length; n += BEATS_IN_A_CALL)
      calls.push(this.#call(debt, sent.slice(n, n + BEATS_IN_A_CALL)));
    const taken = await Promise.all(calls);
    debt.sent = [];
    debt.sending = null;
    const now = performance.now();
    if (debt.asksFor !== null && marginOfLate(debt, now, now - debt.sentAt) === null) this.#listener.caughtUp();
    // What came meanwhile is owed too, even where nobody of a call that failed is here any more.
    if (owed.size > 0) this.#schedule(debt, taken.includes(false) ? RETRY_MS : SOON_MS * this.#stretch());
  }

  /** Whether Redis was there; never throws. What was to be said is owed again where not. */
  async #call(debt: Debt, batch: readonly Entry[]): Promise<boolean> {
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
      return true;
    } catch {
      // Kept until Redis is back; its client has noted why.
      this.#tell(batch);
      for (const [connection, { state }] of batch) {
        // What was said meanwhile is newer.
        if (!connection.holds) continue;
        this.#put(connection, state && connection.state, null, RETRY_MS);
        const again = debt.owed.get(connection);
        if (again) again.kept = true;
      }
      return false;
    }
  }

  #tell(batch: readonly Entry[]): void {
    for (const [, { told }] of batch) if (told) for (const tell of told) tell();
  }
}

/** What a session has left (ms) when it beats on time. */
function marginOf({ times }: Connection): number {
  return times.ttlMs - times.intervalMs;
}

/** How long (ms) a beat may wait before its session is in danger. */
function spareMs(marginMs: number, answerMs: number): number {
  return Math.max(0, marginMs * BEHIND_PART_OF_MARGIN - ANSWERS_UNTIL_HEARD * answerMs);
}

/** What the first session whose beat has waited for too long has left when it beats on time (ms); null: none has. */
function marginOfLate({ sent, sentAt, owed }: Debt, now: number, answerMs: number): number | null {
  const tookMs = Math.max(answerMs, sent.length > 0 ? now - sentAt : 0);
  for (const waiting of [sent, owed]) {
    for (const [connection, { kept, since }] of waiting) {
      const marginMs = marginOf(connection);
      if (kept || since < now - spareMs(marginMs, tookMs)) return marginMs;
    }
  }
  return null;
}
