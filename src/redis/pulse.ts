import { randomUUID } from 'node:crypto';
import { every } from '../lifecycle.ts';
import { type Absence, absenceOf } from './absence.ts';
import type { RedisClock } from './clock.ts';
import type { RedisClient } from './connect.ts';
import { setRefusal } from './gate.ts';
import type { Keys } from './keys.ts';
import { runScript } from './scripts.ts';

const EVERY_MS = 500;
/** Where there is nobody for whom a gap would matter. */
const REST_MS = 1000;
/** What clients of a single Redis and of a cluster say when somebody can be reached again. */
const OPENED = ['ready', '+node'];
const HOLD_MS = 1000;
/** For a web that is behind: past its next contact, with the answers of that and of this one. It ends as soon as the web has caught up. */
const HOLD_BEHIND_MS = 3000;
/** At the first contact after an outage, and where one was on its way through it, nobody knows how long Redis takes to answer. */
const HOLD_FIRST_MS = 5000;
/** Who has not answered for so long is away, not slow. */
const AWAY_MS = 1500;
/** Whoever asks whether to send people here had better be told that it may be away. */
const SILENT_MS = 1000;

const away = (kind: string, reason: string): Absence => ({ kind, refuses: false, reason });
const NOT_YET = away('unreachable', 'Redis has not been reached yet.');
const LOST = away('unreachable', 'Redis is not answering: does it run, and does REDIS_URL name it?');
const SILENT = away('timeout', 'Redis is not answering in time.');
const FAULTY = away('fault', 'Redis answers with an error that the log shows.');

/** `first`: they had not been reached before. */
export type ShardsListener = (shards: readonly number[], first: boolean) => void;

/**
 * Whether this process has beats for these shards that would come too late if expiry went on, as it may where they were out of
 * reach until now; `answerMs`: how long they took to answer last.
 */
export type IsBehind = (shards: readonly number[], reachable: boolean, answerMs: number) => boolean;

/** The contact with one place: with Redis, or in a cluster with the node of a shard. */
class Contact {
  readonly shards: readonly number[];
  alive = false;
  /** Why the last contact failed. */
  absence: Absence = NOT_YET;
  /** It answered with a refusal, and has taken nothing since. */
  refused = false;
  epoch: string | null = null;
  beating: Promise<void> | null = null;
  begunAt = 0;
  tookMs = 0;

  constructor(shards: readonly number[]) {
    this.shards = shards;
  }

  get waitingMs(): number {
    return this.beating ? performance.now() - this.begunAt : 0;
  }
}

/**
 * Every process's regular contact with Redis. It tells the scripts that Redis was out of reach (a gap in everybody's
 * pulse), keeps the estimate of Redis's clock, and notices that the store was lost (another epoch). In a cluster all of it
 * goes by shard: a master that is away holds up nobody elsewhere.
 */
export class Pulse {
  readonly #redis: RedisClient;
  readonly #keys: Keys;
  readonly #clock: RedisClock;
  readonly #process = randomUUID();
  readonly #contacts: readonly Contact[];
  #pace: { everyMs: number; stop: () => void } | null = null;
  #mayRest: () => boolean = () => false;
  #stopped = false;
  readonly #closed = () => {
    for (const contact of this.#contacts) this.#lose(contact, LOST);
    this.#clock.reset();
  };
  /** Not at the next tick of the timer: the beats taken meanwhile have to arrive before anybody is expired. */
  readonly #opened = () => void this.beat();
  readonly #onFault: (error: unknown) => void;
  readonly #onLost: ShardsListener[] = [];
  readonly #onBack: ShardsListener[] = [];
  #onLooked: ((process: string) => void) | null = null;
  #isBehind: IsBehind | null = null;
  #patienceMs = 0;

  /** `onFault` is told of what a contact fails with that is no absence of Redis. */
  constructor(redis: RedisClient, keys: Keys, clock: RedisClock, onFault: (error: unknown) => void = () => {}) {
    this.#redis = redis;
    this.#keys = keys;
    this.#clock = clock;
    this.#onFault = onFault;
    this.#contacts = keys.slotGroups.map((shards) => new Contact(shards));
    redis.on('close', this.#closed);
    for (const event of OPENED) redis.on(event, this.#opened);
  }

  /** Whether the last contact succeeded, with all shards. */
  get alive(): boolean {
    return this.#contacts.every((contact) => contact.alive);
  }

  /**
   * Why nobody can be served by Redis at present; null where the last contact succeeded and the next has not been on its way
   * for too long. Of a cluster, where any node serves its users.
   */
  get absence(): Absence | null {
    let found: Absence | null = null;
    for (const { alive, absence, waitingMs } of this.#contacts) {
      if (alive && waitingMs < SILENT_MS) return null;
      // What refuses says more than what is only out of reach.
      if (!found?.refuses) found = alive ? SILENT : absence;
    }
    return found;
  }

  /** What a shard's store is known by, as its node said last; another one holds nothing of what that held. null: not asked yet. */
  epochOf(shard: number): string | null {
    return this.#contacts.find(({ shards }) => shards.includes(shard))?.epoch ?? null;
  }

  /**
   * How long Redis took to answer last, or has kept us waiting by now, in ms; 0 while it cannot be reached at all. In a
   * cluster that of the slowest node, a node that is away not counted.
   */
  get answerMs(): number {
    const all = this.#contacts.map((contact) => Math.max(contact.tookMs, contact.waitingMs));
    const present = all.filter((_, n) => (this.#contacts[n]?.waitingMs ?? 0) < AWAY_MS);
    return Math.max(...(present.length > 0 ? present : all));
  }

  /** Calls `listener` whenever shards came back without what they held. */
  onLost(listener: ShardsListener): void {
    this.#onLost.push(listener);
  }

  /**
   * Calls `listener` whenever shards can be reached again, and where their clock was set: what they hold is of another
   * time.
   */
  onBack(listener: ShardsListener): void {
    this.#onBack.push(listener);
  }

  /** Calls `listener` with the name of this process at every contact while somebody looks at all processes. */
  onLooked(listener: (process: string) => void): void {
    this.#onLooked = listener;
  }

  /**
   * Has expiry wait for as long as `isBehind` says so, asked at every contact, and for `patienceMs` without a break at
   * most.
   */
  holdWhile(isBehind: IsBehind, patienceMs: number): void {
    this.#isBehind = isBehind;
    this.#patienceMs = patienceMs;
  }

  /** Has the regular contact made half as often for as long as `mayRest` says so, asked at every contact. */
  restWhile(mayRest: () => boolean): void {
    this.#mayRest = mayRest;
  }

  /** Ends a rest: there is somebody. */
  wake(): void {
    if (this.#pace?.everyMs === REST_MS) this.#keepPace(EVERY_MS);
  }

  #keepPace(everyMs: number): void {
    if (this.#stopped || this.#pace?.everyMs === everyMs) return;
    this.#pace?.stop();
    const tick = () => {
      void this.beat();
      this.#keepPace(this.#mayRest() ? REST_MS : EVERY_MS);
    };
    this.#pace = { everyMs, stop: every(everyMs, tick) };
  }

  /** Begins the regular contact. */
  start(): void {
    this.#keepPace(EVERY_MS);
    void this.beat();
  }

  /** Ends the regular contact; resolves once none is on its way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#redis.off('close', this.#closed);
    for (const event of OPENED) this.#redis.off(event, this.#opened);
    this.#pace?.stop();
    this.#pace = null;
    await Promise.all(this.#contacts.map((contact) => contact.beating));
  }

  /** Makes one contact now; never throws. */
  async beat(): Promise<void> {
    if (this.#stopped) return;
    await Promise.all(
      this.#contacts.map((contact) => {
        contact.beating ??= this.#touch(contact).finally(() => {
          contact.beating = null;
        });
        return contact.beating;
      }),
    );
  }

  /** Makes a contact that knows of what has happened up to now: not the one that is on its way. */
  async beatAnew(): Promise<void> {
    await Promise.all(this.#contacts.map((contact) => contact.beating));
    await this.beat();
  }

  async #touch(contact: Contact): Promise<void> {
    const was = contact.alive;
    const keys = this.#keys;
    const holdMs = was ? HOLD_BEHIND_MS + 2 * contact.tookMs : HOLD_FIRST_MS;
    const asks = (was || contact.epoch !== null) && this.#isBehind?.(contact.shards, was, contact.tookMs);
    const [shard = 0] = contact.shards;
    try {
      const sentAt = performance.now();
      contact.begunAt = sentAt;
      const reply = await runScript(
        this.#redis,
        'pulse',
        [
          keys.pulse(shard),
          keys.hold(shard),
          keys.epoch(shard),
          keys.server(shard),
          keys.holds(shard),
          keys.onlookers(shard),
        ],
        [
          HOLD_MS,
          randomUUID(),
          asks ? Math.round(holdMs) : 0,
          this.#process,
          this.#clock.now(shard),
          this.#isBehind ? HOLD_FIRST_MS : 0,
          this.#patienceMs,
        ],
      );
      const moved = was && this.#clock.hasMoved(Number(reply[0]), sentAt, shard);
      if (moved) this.#clock.reset(shard);
      this.#clock.learn(Number(reply[0]), sentAt, shard);
      contact.tookMs = performance.now() - sentAt;
      contact.alive = true;
      contact.refused = false;
      setRefusal(this.#redis, keys.pulse(shard), null);
      const epoch = String(reply[1]);
      const first = contact.epoch === null;
      const lost = !first && contact.epoch !== epoch;
      contact.epoch = epoch;
      for (const listener of [...(was && !moved ? [] : this.#onBack), ...(lost ? this.#onLost : [])])
        listener(contact.shards, first);
      if (Number(reply[2]) === 1) this.#onLooked?.(this.#process);
      // Whether that was needed is known since a moment ago.
      if (!was && asks) await this.#touch(contact);
    } catch (error) {
      // Whoever needs Redis meets the error itself; here it only means: not in contact.
      const absence = absenceOf(error);
      if (!absence) this.#onFault(error);
      this.#lose(contact, absence ?? FAULTY);
      contact.tookMs = 0;
      this.#clock.reset(shard);
    }
  }

  #lose(contact: Contact, absence: Absence): void {
    const [shard = 0] = contact.shards;
    contact.alive = false;
    contact.absence = absence;
    contact.refused ||= absence.refuses;
    // What is out of reach says so to everybody by itself, and at once where it is back. But who refused and then broke the
    // connection, or had it made anew, most likely refuses still: the next contact finds out before anybody is answered.
    setRefusal(this.#redis, this.#keys.pulse(shard), contact.refused ? absence : null);
  }
}
