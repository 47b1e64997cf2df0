import { randomUUID } from 'node:crypto';
import type { Config } from '../src/config/config.ts';
import { every } from '../src/lifecycle.ts';
import type { Logger } from '../src/log.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import type { FollowUps } from '../src/queues/follow-ups.ts';
import { isRedisAway } from '../src/redis/absence.ts';
import { trimDelivery } from '../src/redis/delivery.ts';
import type { SweptShard } from '../src/redis/leftovers.ts';
import type { Stores } from '../src/stores.ts';
import { Choices } from '../src/usecases/choices.ts';
import { Background } from './background.ts';
import { FeedKeeper } from './change-feed.ts';
import { ClockSteps } from './clock-steps.ts';
import { MembershipKeeper } from './memberships.ts';
import { PrivacyKeeper } from './privacy.ts';
import { PrivacyComparer } from './privacy-comparison.ts';
import { UnknownChoices } from './unknown-choices.ts';

const EVERY_MS = 250;
/** Of one shard; where there are more the next pass begins at once. Redis does nothing else meanwhile. */
const OVERDUE_AT_ONCE = 250;
const PASSES_AT_ONCE = 40;
const INDICATORS_AT_ONCE = 200;
const UNKNOWN_CHOICES_EVERY_MS = 250;
const CHOICES_EVERY_MS = 250;
const PRIVACY_EVERY_MS = 1000;
const MEMBERSHIPS_EVERY_MS = 1000;
/** Changes gather for so long before they have positions, and for one webhook. */
const FEED_EVERY_MS = 250;
const CLOCK_EVERY_MS = 1000;
const TRIM_EVERY_MS = 5000;
const ASSERT_MAINTENANCE_EVERY_MS = 30_000;

/**
 * The timeout jobs give latency, the sweep gives correctness: one worker looks at every shard four times a second, twice
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
  readonly #token = randomUUID();
  #stop: (() => void) | null = null;
  /** By slot group: a node that hangs holds up no other. */
  readonly #passing = new Map<number, Promise<void>>();
  /** Places where nothing is expected before the tick after the next. */
  readonly #quiet = new Set<number>();
  #tending: Promise<void> | null = null;
  #trimmed = Number.NEGATIVE_INFINITY;
  #assertedMaintenance = Number.NEGATIVE_INFINITY;

  constructor(stores: Stores, config: Config, log: Logger, followUps: FollowUps) {
    this.#stores = stores;
    this.#followUps = followUps;
    this.#log = log;
    this.#unknownChoices = new UnknownChoices(stores);
    const choices = new Choices(stores, log);
    const privacy = new PrivacyKeeper(stores);
    const comparer = new PrivacyComparer(stores);
    const memberships = new MembershipKeeper(stores);
    const feed = new FeedKeeper(stores, config);
    const clockSteps = new ClockSteps(stores, config, followUps);
    const ask = () => this.#unknownChoices.pass();
    this.#asking = new Background(UNKNOWN_CHOICES_EVERY_MS, ask, log, 'Choices that were unknown could not be read');
    this.#background = [
      new Background(CHOICES_EVERY_MS, () => choices.pass(), log, 'Choices could not be checked'),
      new Background(PRIVACY_EVERY_MS, () => privacy.pass(), log, 'A change of privacy could not be told'),
      new Background(PRIVACY_EVERY_MS, () => comparer.pass(), log, 'Who may see whom could not be compared'),
      new Background(
        MEMBERSHIPS_EVERY_MS,
        () => memberships.pass(),
        log,
        'A removal from a conversation could not be told',
      ),
      new Background(CLOCK_EVERY_MS, () => clockSteps.pass(), log, 'Deadlines by another clock could not be looked at'),
      new Background(FEED_EVERY_MS, () => feed.pass(), log, 'The change feed could not be kept'),
    ];
  }

  start(): void {
    this.#stop ??= every(EVERY_MS, () => this.#tick());
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#stop?.();
    this.#stop = null;
    await Promise.all(this.#passing.values());
    await this.#tending;
    const { leftovers, keys } = this.#stores;
    await Promise.all(keys.slotGroups.map((_, group) => leftovers.giveLeaseBack(group, this.#token).catch(() => {})));
    for (const work of [this.#asking, ...this.#background]) await work.settled();
  }

  #tick(): void {
    for (const group of this.#stores.keys.slotGroups.keys()) {
      if (this.#passing.has(group) || this.#quiet.delete(group)) continue;
      const passing = this.#passes(group)
        .catch((error) => this.#complain(error))
        .then(() => {
          this.#passing.delete(group);
        });
      this.#passing.set(group, passing);
    }
  }

  async #passes(group: number): Promise<void> {
    for (let passes = 0; passes < PASSES_AT_ONCE && this.#stop; passes++) {
      if (!(await this.pass(group)).more) return;
    }
  }

  #complain(error: unknown): void {
    if (!isRedisAway(error)) this.#log.error({ err: error }, 'A sweep failed');
  }

  /** One bounded pass over the shards of a slot group; nothing where another worker holds its lease. */
  async pass(group = 0): Promise<{ swept: boolean; overdue: number; more: boolean }> {
    const { leftovers, store, queues, keys, tracing } = this.#stores;
    if (!(await leftovers.holdLease(group, this.#token))) return { swept: false, overdue: 0, more: false };
    this.#asking.tick();
    // What concerns no shard is done by whoever sweeps the first.
    if (group === 0) for (const work of this.#background) work.tick();
    const shards = await leftovers.find(keys.slotGroups[group] ?? [], OVERDUE_AT_ONCE);
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
    for (const { shard, choiceUnknown } of shards) this.#unknownChoices.note(shard, choiceUnknown);
    if (!shards.some(isBusy)) this.#quiet.add(group);
    await queues.enqueue(...followUps);
    if (group === 0) this.#tend();
    return { swept: true, overdue, more: shards.some((swept) => swept.overdue.length === OVERDUE_AT_ONCE) };
  }

  /** Beside the passes: it concerns other nodes of a cluster than theirs. */
  #tend(): void {
    this.#tending ??= this.#trim()
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

  /** Schedulers live in Redis and go with it; the lease keeps several workers from upserting at once. */
  async #assertMaintenance(): Promise<void> {
    if (performance.now() - this.#assertedMaintenance < ASSERT_MAINTENANCE_EVERY_MS) return;
    await this.#stores.queues.assertMaintenance();
    this.#assertedMaintenance = performance.now();
  }
}

/** Whether there may be something to do in the shard before half a second is over. */
function isBusy({ nextInMs, choiceUnknown, indicators, unrecorded }: SweptShard): boolean {
  return (nextInMs !== null && nextInMs < 2 * EVERY_MS) || choiceUnknown || indicators || unrecorded;
}
