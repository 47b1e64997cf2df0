import { expect } from 'vitest';
import type { StoredSource } from '../../src/presence/change.ts';
import type { FollowUp } from '../../src/presence/follow-up.ts';
import { createKeys, type Keys, shardOf } from '../../src/redis/keys.ts';
import { LeaseStore } from '../../src/redis/leases.ts';
import { Leftovers } from '../../src/redis/leftovers.ts';
import { Outbox } from '../../src/redis/outbox.ts';
import { PresenceStore } from '../../src/redis/presence-store.ts';
import type { Stored } from '../../src/redis/presence-types.ts';
import { PrivacyCache } from '../../src/redis/privacy-cache.ts';
import { runScript } from '../../src/redis/scripts.ts';
import { NO_TRACING } from '../../src/telemetry/tracing.ts';
import {
  applyStored,
  type Circumstances,
  expire,
  nextDue,
  type Outcome,
  type Person,
  stranger,
} from '../model/person.ts';
import { agree, type Expected } from './agreement.ts';
import { LateClock, type ModelTime } from './model-time.ts';
import { TTL_MS, USERS } from './steps.ts';
import { StoredUsersOfWorld } from './stored-users.ts';

const START = Date.UTC(2030, 0, 1);
const HOLD_MS = 1000;
const SLEEP_MS = 10 * TTL_MS;
const PULSE_GAP_MS = 1500;
const NOISE_MS = 1000;
/** A job comes this much late at most, where nothing may expire yet. */
const JOB_SLACK_MS = 1000;

/** Users of one shard: scripts for several users work on one shard at a time. */
export const SHARD = 3;
export const userIds = Array.from({ length: 1000 }, (_, n) => `user:${n}`)
  .filter((userId) => shardOf(userId) === SHARD)
  .slice(0, USERS);

export interface Connection {
  userId: string;
  sessionId: string;
  conn: string;
  ttlMs: number | null;
  openedAt: number;
}

/** A waiting timeout job; `number` only for the one that is the user's own. */
export interface Waiting {
  userId: string;
  number: string;
  at: number;
}

/**
 * Everything there is, twice: the stores on a real Redis, and the people as the rules see them. doings.ts does each step to
 * both. PostgreSQL and the queues are lists.
 */
export class World {
  readonly store: PresenceStore;
  readonly leases: LeaseStore;
  readonly privacy: PrivacyCache;
  readonly leftovers: Leftovers;
  readonly outbox: Outbox;
  readonly keys: Keys;
  readonly #time: ModelTime;
  readonly #clock: LateClock;
  stored = new StoredUsersOfWorld();
  postgresAway = false;
  revision = 0;
  connections: Connection[] = [];
  /** When users signed out everywhere. */
  readonly signedOut = new Map<string, number>();
  jobs: Waiting[] = [];
  /** When a process last reached Redis, and until when nothing expires after a time without. */
  #pulse: { at: number; going: boolean } | null = null;
  #heldUntil = 0;
  #told: Expected['told'] = new Map();
  expected: Expected;

  constructor(time: ModelTime, prefix: string) {
    this.#time = time;
    this.keys = createKeys(prefix, false);
    this.#clock = new LateClock(time);
    this.store = new PresenceStore(time.redis, this.keys, this.#clock, TTL_MS);
    this.leases = new LeaseStore(time.redis, this.keys, this.#clock, TTL_MS);
    this.privacy = new PrivacyCache(time.redis, this.keys, this.#clock, TTL_MS, NO_TRACING);
    this.leftovers = new Leftovers(time.redis, this.keys);
    this.outbox = new Outbox(time.redis, this.keys);
    this.expected = this.#nothing();
  }

  async begin(): Promise<void> {
    this.#told = new Map();
    this.stored = new StoredUsersOfWorld();
    this.postgresAway = false;
    this.connections = [];
    await this.#empty();
    await this.#time.start(START);
  }

  /** Does something, a moment after what was before, and compares. */
  async step(work: () => Promise<void>): Promise<void> {
    await this.pass(1);
    await work();
    this.#clock.lateMs = null;
    const circumstances = this.circumstances;
    await agree(this.#time, this.keys, this.outbox, SHARD, this.expected, circumstances);
    for (const userId of userIds) this.#isLookedAfter(userId, circumstances);
  }

  get now(): number {
    return this.#time.now;
  }

  get circumstances(): Circumstances {
    const now = this.#time.now;
    const gap = this.#pulse !== null && now - this.#pulse.at > PULSE_GAP_MS;
    return { now, ttlMs: TTL_MS, held: gap || this.#heldUntil > now };
  }

  user(n: number): string {
    return userIds[n] ?? '';
  }

  connection(n: number): Connection[] {
    const connection = this.connections[n % Math.max(1, this.connections.length)];
    return connection ? [connection] : [];
  }

  person(userId: string): Person | null {
    return this.expected.people.get(userId) ?? null;
  }

  /** Redis has no record, or not what the user chose: PostgreSQL has to be asked. */
  isUnknown(userId: string): boolean {
    const person = this.person(userId);
    return !person || person.appearInactive === 'unknown';
  }

  /** The person with what PostgreSQL remembers, where that has to be asked. */
  remembered(userId: string, away = false): Person {
    const person = this.person(userId) ?? stranger(userId, this.expected.cached.get(userId));
    return this.isUnknown(userId)
      ? applyStored(person, away ? 'away' : this.stored.stored(userId, this.now), this.now)
      : person;
  }

  /** What PostgreSQL answers of somebody now. */
  seedOf(userId: string): Stored {
    return this.postgresAway ? 'away' : this.stored.stored(userId, this.now);
  }

  /** All that is said of a user, as PostgreSQL has it. */
  saidIn(userId: string): { revision: number; sources: StoredSource[] } {
    const sources = this.stored.sources(userId, this.now).filter(({ remainingMs }) => (remainingMs ?? 1) > 0);
    return { revision: this.stored.of(userId)?.detailRevision ?? 0, sources };
  }

  /** Takes an outcome over: it is what the scripts have to have done. */
  follow<Code extends string>({ person, code, changes, closed }: Outcome<Code>): Code {
    const at = nextDue(person, this.circumstances);
    const wasHidden = typeof this.person(person.userId)?.appearInactive === 'object';
    // A deadline that was set while another end came first has no job of its own: it is left to the sweep.
    if (wasHidden && person.appearInactive === 'no' && at !== null) this.leaveToSweep(person.userId, at);
    this.expected.people.set(person.userId, person);
    if (person.sessions.length > 0) this.expected.forgotten.delete(person.userId);
    this.expected.changes.push(...changes);
    this.expected.closed.push(...closed.map((each) => ({ userId: person.userId, ...each })));
    return code;
  }

  expire(userId: string): { userId: string; nextMs: number | null; announced: string | null } {
    const person = this.person(userId);
    if (!person) return { userId, nextMs: null, announced: null };
    const circumstances = this.circumstances;
    const outcome = expire(person, circumstances);
    this.follow(outcome);
    const at = nextDue(outcome.person, circumstances);
    const sleepMs = isHeld(outcome.person) ? SLEEP_MS : 0;
    const nextMs = at === null ? null : Math.max(at - circumstances.now, sleepMs, circumstances.held ? HOLD_MS : 0);
    return { userId, nextMs, announced: outcome.changes.at(-1)?.status ?? null };
  }

  /** The jobs that a script asked for go into the queue. */
  owe({ arms }: FollowUp): void {
    for (const arm of arms) {
      if (arm.kind === 'remove') {
        this.jobs = this.jobs.filter(({ userId, number }) => userId !== arm.userId || number !== arm.number);
        continue;
      }
      const number = arm.kind === 'check' ? arm.number : '';
      this.jobs.push({ userId: arm.userId, number, at: this.now + arm.delayMs });
    }
  }

  /** A deadline that came nearer without a job of its own: a job waits for a later one, and the sweep is there first. */
  leaveToSweep(userId: string, at: number): void {
    this.jobs.push({ userId, number: '', at: Math.max(this.now, at) });
  }

  /** A choice that has just been read from PostgreSQL may end before the job that waits already. */
  leaveChoiceToSweep(person: Person): void {
    const { userId, appearInactive } = person;
    this.leaveDetailToSweep(person);
    if (typeof appearInactive === 'object' && appearInactive.until !== null)
      this.leaveToSweep(userId, appearInactive.until);
  }

  /** Only the end of the one that is shown has a job. */
  leaveDetailToSweep({ userId, sources }: Person): void {
    for (const { until } of sources) if (until !== null) this.leaveToSweep(userId, until);
  }

  /** Sets how late the next command is; returns the age that something so long ago has then. */
  late(lateMs: number | null, ageMs = 0): number {
    this.#clock.lateMs = lateMs;
    return ageMs + (lateMs !== null && lateMs > NOISE_MS ? lateMs : 0);
  }

  async pass(ms: number): Promise<void> {
    const expired = await this.#time.pass(ms);
    for (const userId of userIds) {
      if (expired.includes(this.keys.signedOut(userId))) this.signedOut.delete(userId);
      if (!expired.includes(this.keys.record(userId))) continue;
      const person = this.person(userId);
      expect(person && nextDue(person, this.circumstances), 'who is here is not dropped').toBeNull();
      this.expected.people.set(userId, null);
      this.expected.forgotten.delete(userId);
      // From now on it is PostgreSQL that knows, perhaps not yet.
      const told = this.#told.get(userId);
      if (told) told.status = null;
    }
    if (this.#pulse?.going) {
      this.#pulse.at = this.now;
      await this.#time.redis.set(this.keys.pulse(SHARD), this.#pulse.at);
    }
  }

  stopPulse(): void {
    if (this.#pulse) this.#pulse.going = false;
  }

  async pulse(): Promise<void> {
    const { pulse, hold, epoch, server, holds, onlookers } = this.keys;
    const keys = [pulse, hold, epoch, server, holds, onlookers].map((key) => key(SHARD));
    const [now] = await runScript(this.#time.redis, 'pulse', keys, [HOLD_MS, 'epoch', 0, 'process', 0, 0, 0]);
    expect(Number(now)).toBe(this.now);
    if (this.#pulse && this.now - this.#pulse.at > PULSE_GAP_MS) this.#heldUntil = this.now + HOLD_MS;
    this.#pulse = { at: this.now, going: true };
  }

  /** With the changes that were not recorded yet; watchers get the truth from snapshots then. */
  async lose(): Promise<void> {
    await this.#empty();
    for (const told of this.#told.values()) told.status = null;
    await this.#time.start(this.now);
    // A store takes a while to come back.
    await this.pass(1000);
  }

  #nothing(): Expected {
    return {
      people: new Map(userIds.map((userId) => [userId, null])),
      cached: new Map(),
      seen: new Map(),
      told: this.#told,
      forgotten: new Set(),
      changes: [],
      closed: [],
      position: null,
    };
  }

  async #empty(): Promise<void> {
    const keys = this.keys;
    await this.#time.redis.del(
      ...[
        keys.due,
        keys.outbox,
        keys.pulse,
        keys.hold,
        keys.holds,
        keys.epoch,
        keys.unrecorded,
        keys.choiceUnknown,
      ].map((key) => key(SHARD)),
      ...[keys.seen, keys.apartDue, keys.apartActive, keys.restricted].map((key) => key(SHARD)),
      ...(['deliver', 'record'] as const).flatMap((group) => [keys.wake(group, SHARD), keys.lease(group, SHARD)]),
      ...userIds.flatMap((userId) =>
        [keys.status, keys.lastSeen, keys.record, keys.signedOut, keys.privacy].map((key) => key(userId)),
      ),
    );
    this.#pulse = null;
    this.#heldUntil = 0;
    this.signedOut.clear();
    this.jobs = [];
    this.expected = this.#nothing();
    // Long enough ago that nobody waits any more for what the webs have to say.
    await this.#time.redis.set(keys.epoch(SHARD), '1 model');
  }

  /** Whenever somebody's time comes a job is there for it, without the sweep. */
  #isLookedAfter(userId: string, circumstances: Circumstances): void {
    const person = this.person(userId);
    const at = person && nextDue(person, circumstances);
    if (at === null) return;
    // Who is overdue while nothing may expire is left to the sweep.
    if (circumstances.held && at <= this.now) this.leaveToSweep(userId, this.now + HOLD_MS);
    const first = Math.min(...this.jobs.filter((job) => job.userId === userId).map((job) => job.at));
    // Armed while a web held a connection it may sleep on for as long, also after that is gone: the sweep is there first.
    expect(first, 'the next timeout job').toBeLessThanOrEqual(Math.max(at, this.now + SLEEP_MS) + JOB_SLACK_MS);
  }
}

function isHeld({ sessions }: Person): boolean {
  return sessions.some(({ standing }) => standing === 'live');
}
