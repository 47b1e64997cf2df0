import { randomUUID } from 'node:crypto';
import type { Config } from '../src/config/config.ts';
import { every } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { FollowUps } from '../src/queues/follow-ups.ts';
import { isRedisAway } from '../src/redis/absence.ts';
import { trimDelivery } from '../src/redis/delivery.ts';
import type { Swept } from '../src/redis/leftovers.ts';
import type { Stores } from '../src/stores.ts';
import { Choices } from '../src/usecases/choices.ts';
import { Background } from './background.ts';
import { ClockSteps } from './clock-steps.ts';
import { PostgresUpkeep } from './postgres-upkeep.ts';
import { PrivacyComparer } from './privacy-comparison.ts';
import type { RoomFollower } from './rooms.ts';
import { RESTORE_MS } from './seen-index.ts';
import { SourcesComparer } from './sources-comparison.ts';
import { UnknownChoices } from './unknown-choices.ts';

const EVERY_MS = 250;
/** Where nobody is about to be overdue, or another worker sweeps; and where nobody is there at all. */
const QUIET_EVERY_MS = 500;
const NOBODY_EVERY_MS = 1000;
/** Ticks are not on the dot. */
const SLACK_MS = 20;
/** Of one shard; where there are more the next pass begins at once. Redis does nothing else meanwhile. */
const OVERDUE_AT_ONCE = 250;
const PASSES_AT_ONCE = 40;
const INDICATORS_AT_ONCE = 200;
const UNKNOWN_CHOICES_EVERY_MS = 250;
const CHOICES_EVERY_MS = 250;
const PRIVACY_EVERY_MS = 1000;
const SOURCES_EVERY_MS = 1000;
const ROOMS_EVERY_MS = 500;
const CLOCK_EVERY_MS = 1000;
const TRIM_EVERY_MS = 5000;
const ASSERT_MAINTENANCE_EVERY_MS = 30_000;

/**
 * The timeout jobs give latency, the sweep gives correctness: one worker looks at every shard four times a second, less often
 * where nobody is about to be overdue, by a timer of its own and a short lease in Redis, and settles what no job came for. A
 * lost, late or doubled job, or a process killed between a script and its queue, thus costs less than two seconds.
 */
export class Sweep {
  readonly #stores: Stores;
  readonly #log: Logger;
  readonly #followUps: FollowUps;
  readonly #unknownChoices: UnknownChoices;
  readonly #asking: Background;
  readonly #background: Background[];
  readonly #upkeep: PostgresUpkeep;
  readonly #token = randomUUID();
  #pace: { everyMs: number; stop: () => void } | null = null;
  #stopped = false;
  /** By slot group: a node that hangs holds up no other. */
  readonly #passing = new Map<number, Promise<void>>();
  /** By slot group too: how long a pass may wait behind the one before, and when it is due. */
  readonly #waits = new Map<number, number>();
  readonly #dueAt = new Map<number, number>();
  #tending: Promise<void> | null = null;
  #completesSeen = false;
  #trimmed = Number.NEGATIVE_INFINITY;
  #assertedMaintenance = Number.NEGATIVE_INFINITY;

  constructor(stores: Stores, config: Config, log: Logger, followUps: FollowUps, rooms: RoomFollower) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#log = log;
    this.#unknownChoices = new UnknownChoices(stores);
    const anew = () => {
      stores.leftovers.forget();
      this.#completesSeen = true;
    };
    stores.pulse.onBack(anew);
    stores.pulse.onLost(anew);
    const choices = new Choices(stores, log);
    const comparer = new PrivacyComparer(stores);
    const sources = new SourcesComparer(stores);
    const clockSteps = new ClockSteps(stores, config, followUps);
    this.#upkeep = new PostgresUpkeep(stores, config, log);
    const ask = () => this.#unknownChoices.pass();
    this.#asking = new Background(UNKNOWN_CHOICES_EVERY_MS, ask, log, 'Choices that were unknown could not be read');
    this.#background = [
      new Background(CHOICES_EVERY_MS, () => choices.pass(), log, 'Choices could not be checked'),
      new Background(PRIVACY_EVERY_MS, () => comparer.pass(), log, 'Who may see whom could not be compared'),
      new Background(SOURCES_EVERY_MS, () => sources.pass(), log, 'What is said of users could not be compared'),
      new Background(ROOMS_EVERY_MS, () => rooms.pass(), log, 'Lists of rooms could not be compared'),
      new Background(CLOCK_EVERY_MS, () => clockSteps.pass(), log, 'Deadlines by another clock could not be looked at'),
    ];
  }

  start(): void {
    if (this.#stopped) return;
    this.#keepPace();
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pace?.stop();
    this.#pace = null;
    await Promise.all(this.#passing.values());
    await this.#tending;
    const { leftovers, keys } = this.#stores;
    await Promise.all(keys.slotGroups.map((_, group) => leftovers.giveLeaseBack(group, this.#token).catch(() => {})));
    await Promise.all([this.#asking, this.#upkeep, ...this.#background].map((work) => work.stop()));
  }

  /** This worker has recorded something: it is looked after soon, however quiet it was before. */
  soon(): void {
    this.#upkeep.changesCome();
    if (this.#pace === null || this.#pace.everyMs === EVERY_MS) return;
    this.#waits.clear();
    this.#dueAt.clear();
    this.#keepPace();
  }

  /** Whether this worker sweeps and has found that nobody is there. */
  get findsNobody(): boolean {
    return this.#slowest === NOBODY_EVERY_MS;
  }

  /** The wait of the place that may wait least (ms). */
  get #slowest(): number {
    const { slotGroups } = this.#stores.keys;
    return this.#waits.size < slotGroups.length ? EVERY_MS : Math.min(...this.#waits.values());
  }

  #keepPace(): void {
    const everyMs = this.#slowest;
    if (this.#stopped || this.#pace?.everyMs === everyMs) return;
    this.#pace?.stop();
    this.#pace = { everyMs, stop: every(everyMs, () => this.#tick()) };
  }

  #tick(): void {
    const now = performance.now();
    for (const group of this.#stores.keys.slotGroups.keys()) {
      if (this.#passing.has(group) || now < (this.#dueAt.get(group) ?? 0) - SLACK_MS) continue;
      this.#dueAt.delete(group);
      const passing = this.#passes(group)
        .catch((error) => {
          this.#waits.delete(group);
          this.#complain(error);
        })
        .then(() => {
          this.#passing.delete(group);
          const wait = this.#waits.get(group);
          if (wait !== undefined) this.#dueAt.set(group, now + wait);
          if (this.#pace) this.#keepPace();
        });
      this.#passing.set(group, passing);
    }
  }

  async #passes(group: number): Promise<void> {
    for (let passes = 0; passes < PASSES_AT_ONCE && this.#pace; passes++) {
      if (!(await this.pass(group)).more) return;
    }
  }

  #complain(error: unknown): void {
    if (!isRedisAway(error)) this.#log.error({ err: error }, 'A sweep failed');
  }

  /** One bounded pass over the shards of a slot group; nothing where another worker holds its lease. */
  async pass(group = 0): Promise<{ swept: boolean; overdue: number; more: boolean }> {
    const { leftovers, store, queues, keys, tracing } = this.#stores;
    const found = await leftovers.find(keys.slotGroups[group] ?? [], OVERDUE_AT_ONCE, this.#token);
    if (found === null) {
      this.#waits.set(group, QUIET_EVERY_MS);
      return { swept: false, overdue: 0, more: false };
    }
    const { shards, moved } = found;
    for (const { shard, choiceUnknown } of shards) this.#unknownChoices.note(shard, choiceUnknown);
    this.#asking.tick();
    // What concerns no shard is done by whoever sweeps the first.
    if (group === 0) {
      for (const work of this.#background) work.tick();
      this.#upkeep.tick(moved);
    }
    const followUps: FollowUp[] = [];
    let overdue = 0;
    for (const swept of shards) {
      // A shard whose changes were dropped unrecorded has work for the record group, whatever its outbox says.
      const wakeRecord = swept.wakeRecord || swept.unrecorded;
      followUps.push({ shard: swept.shard, wakeDeliver: swept.wakeDeliver, wakeRecord, arms: [] });
      if (swept.overdue.length > 0) {
        overdue += swept.overdue.length;
        const users = swept.overdue.map((userId) => ({ userId, number: '' }));
        const expire = () => store.expire(swept.shard, users);
        // Nothing of it is waited for: there may be many more who are overdue.
        this.#followUps.add((await tracing.event('sweep', expire)).followUp);
      }
    }
    for (const { shard, indicators } of shards) {
      if (indicators) followUps.push(...(await this.#stores.indicators.expire(shard, INDICATORS_AT_ONCE)));
    }
    for (const { shard, roomsOwed } of shards) {
      if (!roomsOwed) continue;
      for (const { followUp } of await this.#stores.roomLists.tellOwed(shard)) followUps.push(followUp);
    }
    this.#waits.set(group, waitAfter(found));
    await queues.enqueue(...followUps);
    if (group === 0) this.#tend();
    return { swept: true, overdue, more: shards.some((swept) => swept.overdue.length === OVERDUE_AT_ONCE) };
  }

  /** Beside the passes: it concerns other nodes of a cluster than theirs. */
  #tend(): void {
    this.#tending ??= this.#trim()
      .then(() => this.#completeSeen())
      .then(() => this.#assertMaintenance())
      .catch((error) => this.#complain(error))
      .then(() => {
        this.#tending = null;
      });
  }

  /** What was delivered is let go of in quiet times too: it names people. */
  async #trim(): Promise<void> {
    if (performance.now() - this.#trimmed < TRIM_EVERY_MS) return;
    await trimDelivery(this.#stores.redis, this.#stores.keys);
    this.#trimmed = performance.now();
  }

  /** A Redis that is there anew may have come back empty; the run looks once the webs had their time to restore. */
  async #completeSeen(): Promise<void> {
    if (!this.#completesSeen) return;
    this.#completesSeen = false;
    await this.#stores.queues.addCompleteSeen(RESTORE_MS + SLACK_MS).catch((error) => {
      this.#completesSeen = true;
      throw error;
    });
  }

  /** Schedulers live in Redis and go with it; the lease keeps several workers from upserting at once. */
  async #assertMaintenance(): Promise<void> {
    if (performance.now() - this.#assertedMaintenance < ASSERT_MAINTENANCE_EVERY_MS) return;
    await this.#stores.queues.assertMaintenance();
    this.#assertedMaintenance = performance.now();
  }
}

/** How long (ms) the next pass may wait behind one that found this. */
function waitAfter({ shards, nextInMs, held, moved }: Swept): number {
  const isBusy = shards.some((shard) => shard.choiceUnknown || shard.indicators || shard.roomsOwed || shard.unrecorded);
  if (isBusy || (nextInMs !== null && nextInMs < QUIET_EVERY_MS)) return EVERY_MS;
  return nextInMs === null && !held && !moved ? NOBODY_EVERY_MS : QUIET_EVERY_MS;
}
