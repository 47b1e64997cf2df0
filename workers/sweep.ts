import { randomUUID } from 'node:crypto';
import type { Config } from '../src/config.ts';
import type { Logger } from '../src/log.ts';
import { isConnectionError } from '../src/postgres/errors.ts';
import { loadMemories } from '../src/postgres/users.ts';
import type { FollowUp } from '../src/presence/follow-up.ts';
import { isRedisAway } from '../src/redis/connect.ts';
import { trimDelivery } from '../src/redis/delivery.ts';
import { SHARDS } from '../src/redis/keys.ts';
import type { Services } from '../src/services.ts';
import { FeedKeeper } from './change-feed.ts';
import { Choices } from './choices.ts';
import { PrivacyKeeper } from './privacy.ts';

const EVERY_MS = 250;
const OVERDUE_AT_ONCE = 500;
const UNSEEDED_AT_ONCE = 500;
const INDICATORS_AT_ONCE = 200;
const ASK_POSTGRES_EVERY_MS = 1000;
const TRIM_EVERY_MS = 5000;
const ASSERT_MAINTENANCE_EVERY_MS = 30_000;

/** Never a memory: somebody who is new to PostgreSQL. */
const NEW = { version: 0, lastSeen: null, status: 'inactive', hidden: null, detail: null } as const;

/**
 * The timeout jobs give latency, the sweep gives correctness: one worker looks at every shard a few times a second, by
 * a timer of its own and a short lease in Redis, and settles what no job came for. A lost, late or doubled job, or a
 * process killed between a script and its queue, thus costs less than two seconds.
 */
export class Sweep {
  readonly #services: Services;
  readonly #log: Logger;
  readonly #privacy: PrivacyKeeper;
  readonly #choices: Choices;
  readonly #feed: FeedKeeper;
  readonly #token = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<void> | null = null;
  #askedPostgres = 0;
  #trimmed = Number.NEGATIVE_INFINITY;
  #assertedMaintenance = Number.NEGATIVE_INFINITY;

  constructor(services: Services, config: Config, log: Logger) {
    this.#services = services;
    this.#log = log;
    this.#choices = new Choices(services, log);
    this.#privacy = new PrivacyKeeper(services, log);
    this.#feed = new FeedKeeper(services, config, log);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), EVERY_MS);
    this.#tick();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#passing;
    await this.#services.index.giveSweepLeaseBack(this.#token).catch(() => {});
    await this.#privacy.settled();
    await this.#choices.settled();
    await this.#feed.settled();
  }

  #tick(): void {
    this.#passing ??= this.pass()
      .catch((error) => {
        if (!isRedisAway(error)) this.#log.error({ err: error }, 'A sweep failed');
      })
      .then(() => {
        this.#passing = null;
      });
  }

  /** One bounded pass over all shards; nothing where another worker holds the lease. */
  async pass(): Promise<{ swept: boolean; overdue: number }> {
    const { index, store, queues } = this.#services;
    if (!(await index.holdSweepLease(this.#token))) return { swept: false, overdue: 0 };
    this.#privacy.tick();
    this.#choices.tick();
    this.#feed.tick();
    const shards = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => index.sweep(shard, OVERDUE_AT_ONCE)));
    const followUps: FollowUp[] = [];
    let overdue = 0;
    for (const swept of shards) {
      // A shard whose changes were dropped unrecorded has work for the record group, whatever its outbox says.
      const wakeRecord = swept.wakeRecord || swept.unrecorded;
      followUps.push({ shard: swept.shard, wakeDeliver: swept.wakeDeliver, wakeRecord, arms: [] });
      if (swept.overdue.length > 0) {
        overdue += swept.overdue.length;
        const users = swept.overdue.map((userId) => ({ userId, number: '' }));
        followUps.push((await store.expire(swept.shard, users)).followUp);
      }
    }
    for (const { shard, indicators } of shards) {
      if (indicators) followUps.push(...(await this.#services.indicators.expire(shard, INDICATORS_AT_ONCE)));
    }
    const unseeded = shards.filter((swept) => swept.unseeded).map((swept) => swept.shard);
    if (unseeded.length > 0) followUps.push(...(await this.#adoptUnseeded(unseeded)));
    await queues.follow(...followUps);
    await this.#trim();
    await this.#assertMaintenance();
    return { swept: true, overdue };
  }

  /** Users who came while PostgreSQL was away: once it answers, their choice is known and they are shown or not. */
  async #adoptUnseeded(shards: number[]): Promise<FollowUp[]> {
    if (performance.now() - this.#askedPostgres < ASK_POSTGRES_EVERY_MS) return [];
    const { index, store, db } = this.#services;
    const followUps: FollowUp[] = [];
    try {
      for (const shard of shards) {
        const userIds = await index.unseeded(shard, UNSEEDED_AT_ONCE);
        const memories = await loadMemories(db, userIds);
        const users = userIds.map((userId) => ({ userId, memory: memories.get(userId) ?? NEW }));
        if (users.length > 0) followUps.push(await store.adopt(shard, users));
      }
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      this.#askedPostgres = performance.now();
    }
    return followUps;
  }

  /** What was delivered is let go of in quiet times too: it names people. */
  async #trim(): Promise<void> {
    if (performance.now() - this.#trimmed < TRIM_EVERY_MS) return;
    await trimDelivery(this.#services.redis, this.#services.keys);
    this.#trimmed = performance.now();
  }

  /** Schedulers live in Redis and go with it; the lease keeps several workers from upserting at once. */
  async #assertMaintenance(): Promise<void> {
    if (performance.now() - this.#assertedMaintenance < ASSERT_MAINTENANCE_EVERY_MS) return;
    await this.#services.queues.assertMaintenance();
    this.#assertedMaintenance = performance.now();
  }
}
